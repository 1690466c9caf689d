"""Keys of the account, and its open sockets: relay/api/api_keys.py, relay/api/sockets.py."""

from __future__ import annotations

from relay.api.api_keys import KEYS_LIMIT
from relay.reference.schemas import BODY_KEY, TIME, flag, number, or_null, record, text, texts
from relay.reference.vocabulary import Answer, Body, Example, Noun, Operation, Parameter

_KEY = {
    "id": text("names it in the path of DELETE"),
    "label": text('what it is for; "" = not said'),
    "source": text("`file`: the accounts file; `api`: made by REST; else by the operator"),
    "created": TIME,
    "readOnly": flag("it may change and delete nothing"),
    "address": or_null(text("whose mail alone it reaches; null = all of the account")),
    "expires": or_null(TIME),
}
_ID = Parameter("key_id", "path", "the `id` of the key", text(examples=["0123456789ab"]))

NOUN = Noun(
    "keys",
    "API keys",
    f"A key is known by its hash only: it is shown once, when it is made. An account has at most {KEYS_LIMIT}.",
    (
        Operation(
            "GET",
            "/api/keys",
            "listKeys",
            "List your keys",
            "Without the keys themselves.",
            (
                Answer(
                    "the keys",
                    {"type": "array", "items": record({**_KEY, "current": flag("it is the one of this request")})},
                ),
            ),
            examples=(Example("all", "/api/keys"),),
        ),
        Operation(
            "POST",
            "/api/keys",
            "makeKey",
            "Make a key",
            "This answer shows it, and no other ever will.",
            (Answer("the key", record({**_KEY, "key": text("to be kept secret")})),),
            body=Body(
                record(
                    {},
                    {
                        "label": text("what it is for", maxLength=100),
                        "readOnly": flag("it may change and delete nothing"),
                        "address": text("a reserved address of yours: it reaches the mail of no other"),
                        "expires": text("how long it lives: a number with s, m, h or d", examples=["30d"]),
                        **BODY_KEY,
                    },
                ),
                required=False,
            ),
            examples=(Example("labelled", "/api/keys", body={"label": "end-to-end tests"}),),
        ),
        Operation(
            "DELETE",
            "/api/keys/{key_id}",
            "revokeKey",
            "Revoke a key",
            "Its sockets are closed with 4401. 400 if it is the only one of the account.",
            (Answer("it is revoked", record({"id": text(), "message": text("for a person")})),),
            (_ID,),
            errors=(404,),
            examples=(Example("second", "/api/keys/e03e1c912adc"),),
        ),
    ),
)

_SOCKET = record(
    {
        "id": text(),
        "process": text("of the service"),
        "opened": TIME,
        "addresses": texts("it listens to"),
        "domains": texts("it listens to"),
        "frames": text(enum=["message", "envelope"]),
        "client": text("address of the client"),
        "waitingBytes": number("that the client has still to read", minimum=0),
        "delivered": number("messages", minimum=0),
    }
)

SOCKETS = Noun(
    "sockets",
    "Open sockets",
    "Of the account, over all processes of the service.",
    (
        Operation(
            "GET",
            "/api/sockets",
            "listSockets",
            "List your open sockets",
            "Oldest first.",
            (
                Answer(
                    "the sockets",
                    {"type": "array", "items": _SOCKET},
                    headers={"X-Total-Count": "how many there are, should not all be listed"},
                ),
            ),
            examples=(Example("all", "/api/sockets"),),
        ),
    ),
)
