"""Addresses: relay/api/addresses.py."""

from __future__ import annotations

from relay.accounts.accounts import MAX_CREDITS
from relay.accounts.addresses import BULK_LIMIT
from relay.api.listing import MOST
from relay.reference.schemas import BODY_KEY, flag, listed, number, or_null, record, ref, text
from relay.reference.vocabulary import Answer, Body, Example, Noun, Operation, Parameter

EMAIL = Parameter(
    "email",
    "path",
    "the address, percent-encoded where it has other characters than letters, digits and `.-_@+`",
    text(examples=["user1@mailsac.com"]),
)

_URL = or_null(text('an `http://` or `https://` URL; "" or null clears it', maxLength=2048))
_CHANGE = record(
    {},
    {
        "enablews": {"type": ["boolean", "null"], "description": "keep its mail, and send it to WebSockets"},
        "info": or_null(text("your own note", maxLength=1000)),
        "forward": or_null(text("an address; kept and given back, nothing acts on it yet")),
        "webhook": _URL,
        "webhookSlack": _URL,
        "webhookSlackToFrom": {"type": ["boolean", "null"]},
        **BODY_KEY,
    },
    "What to set. A member that is absent stays as it is; null clears a text and makes a flag false. The other "
    "members of an address object may be there, and change nothing.",
)
_NEXT = {"Link": 'with `limit`, where there are more: `<path>; rel="next"` (RFC 8288), relative to this host'}
_OBJECT = (Answer("the address object", ref("Address")),)

NOUN = Noun(
    "addresses",
    "Addresses",
    "Reserve an address, and switch on its WebSocket: from then on its mail is kept and streamed. Each address takes "
    "one credit of the account. On a domain of your own, or one that this service shares, any name will do.",
    (
        Operation(
            "GET",
            "/api/addresses",
            "listAddresses",
            "List your addresses",
            "In alphabetical order: all of them, or with `limit` a page.",
            (Answer("the address objects", listed("Address"), headers=_NEXT),),
            (
                Parameter("limit", "query", "how many at most; without it, all", number(minimum=0, maximum=MOST)),
                Parameter(
                    "skip", "query", "how many to leave out", number(minimum=0, maximum=MAX_CREDITS, default=0)
                ),
            ),
            errors=(400, 429),
            examples=(
                Example("all", "/api/addresses"),
                Example("page", "/api/addresses?limit=1", "The first, and in the header Link where the next is"),
            ),
        ),
        Operation(
            "GET",
            "/api/addresses/{email}",
            "getAddress",
            "Look an address up",
            "The object if it is yours; if it is free, the same without `owner`. 401 if another account has it.",
            _OBJECT,
            (EMAIL,),
            examples=(
                Example("yours", "/api/addresses/user1@mailsac.com"),
                Example("free", "/api/addresses/nobody@mailsac.com", "Nobody has it yet"),
                Example("anothers", "/api/addresses/user2@mailsac.com", "Another account has it"),
            ),
        ),
        Operation(
            "POST",
            "/api/addresses/{email}",
            "reserveAddress",
            "Reserve an address",
            "Takes a credit. The body is optional, the same as that of PUT. 400 if it is yours already, if no credit "
            "is left, or if its domain is not served here; 401 if another account has it.",
            _OBJECT,
            (EMAIL,),
            Body(_CHANGE, required=False),
            examples=(
                Example("bare", "/api/addresses/shop@mailsac.com"),
                Example(
                    "with_websocket",
                    "/api/addresses/orders@mailsac.com",
                    "With a note, and its WebSocket switched on in the same step",
                    {"enablews": True, "info": "end-to-end tests"},
                ),
                Example("again", "/api/addresses/shop@mailsac.com", "It is yours already"),
            ),
        ),
        Operation(
            "PUT",
            "/api/addresses/{email}",
            "updateAddress",
            "Configure an address",
            "`enablews` is the box “forward all incoming mail via web socket”: false ends what listens to the address, "
            "on every process.",
            _OBJECT,
            (EMAIL,),
            Body(_CHANGE, required=False),
            examples=(
                Example("enablews", "/api/addresses/shop@mailsac.com", body={"enablews": True}),
                Example(
                    "mistakes",
                    "/api/addresses/shop@mailsac.com",
                    "Every member that is wrong is named",
                    {"enablews": "yes", "webhook": "ftp://example.com", "colour": "blue"},
                ),
            ),
        ),
        Operation(
            "PUT",
            "/api/private-address-forwarding/{email}",
            "forwardPrivateAddress",
            "Configure an address (older path)",
            "The same as `PUT /api/addresses/{email}`.",
            _OBJECT,
            (EMAIL,),
            Body(_CHANGE, required=False),
            examples=(
                Example("enablews", "/api/private-address-forwarding/user1@mailsac.com", body={"enablews": True}),
            ),
        ),
        Operation(
            "DELETE",
            "/api/addresses/{email}",
            "releaseAddress",
            "Release an address",
            "Gives it up, with all its kept mail: whoever reserves it next never sees any. 400 if nobody has it.",
            (Answer("it is free", ref("Done")),),
            (
                EMAIL,
                Parameter(
                    "deleteAddressMessages", "query", "taken, and changes nothing: the mail always goes", text()
                ),
            ),
            examples=(Example("release", "/api/addresses/shop@mailsac.com"),),
        ),
        Operation(
            "GET",
            "/api/addresses/{email}/availability",
            "checkAvailability",
            "Ask whether an address is free",
            "Says as little of another account's address as it can.",
            (
                Answer(
                    "whether you could reserve it",
                    record(
                        {
                            "available": flag("you could reserve it, credits aside"),
                            "email": text("the address in canonical form"),
                            "owned": flag("somebody has it"),
                        }
                    ),
                ),
            ),
            (EMAIL,),
            examples=(Example("free", "/api/addresses/nobody@mailsac.com/availability"),),
        ),
        Operation(
            "POST",
            "/api/private-addresses-bulk",
            "reserveAddresses",
            "Reserve several addresses",
            "All of them, or none.",
            (Answer("the address objects, in the order asked for", listed("Address")),),
            body=Body(
                record(
                    {
                        "addresses": {
                            "type": "array",
                            "items": text(),
                            "minItems": 1,
                            "maxItems": BULK_LIMIT,
                            "uniqueItems": True,
                        }
                    },
                    BODY_KEY,
                )
            ),
            examples=(
                Example(
                    "two",
                    "/api/private-addresses-bulk",
                    body={"addresses": ["left@mailsac.com", "right@mailsac.com"]},
                ),
            ),
        ),
    ),
)
