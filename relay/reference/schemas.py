"""The JSON shapes that more than one operation, or the WebSocket, speaks of: ``components/schemas`` of the document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.reference.vocabulary import Schema


def ref(name: str) -> Schema:
    """The shape of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(name: str) -> Schema:
    """A list of them."""
    return {"type": "array", "items": ref(name)}


def record(members: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, says: str = "") -> Schema:
    """An object that always has ``members``, and may have ``optional`` ones."""
    shape: dict[str, Any] = {"type": "object", "properties": {**members, **(optional or {})}}
    if members:
        shape["required"] = list(members)
    return {**shape, "description": says} if says else shape


def text(says: str = "", **more: Any) -> Schema:
    """A string."""
    return {"type": "string", **({"description": says} if says else {}), **more}


def number(says: str = "", **more: Any) -> Schema:
    """An integer."""
    return {"type": "integer", **({"description": says} if says else {}), **more}


def flag(says: str = "") -> Schema:
    """A boolean."""
    return {"type": "boolean", **({"description": says} if says else {})}


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    kind = schema["type"]
    return {**schema, "type": [*kind, "null"] if isinstance(kind, list) else [kind, "null"]}


def texts(says: str, **more: Any) -> Schema:
    """A list of strings."""
    return {"type": "array", "items": {"type": "string", **more}, "description": says}


TIME = {
    "type": "string",
    "format": "date-time",
    "description": "UTC with milliseconds, `2026-11-21T12:00:00.000Z`",
}
MESSAGE_ID = text(
    "`<16 hex digits>-<milliseconds>-<number>`: the digits name the inbox and its epoch; within them the number rises "
    "by exactly one from message to message",
)
BODY_KEY = {"_mailsacKey": text("the API key, for a client that can set no header")}

_MAILBOXES = {"type": "array", "items": ref("Mailbox")}
_HEADERS = {
    "type": "object",
    "description": "lower-case name to value, unfolded; a list of values when the header is repeated",
    "additionalProperties": {
        "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 2}]
    },
}

# A message as its frame has it, without what a list leaves out.
_ENVELOPE = {
    "_id": MESSAGE_ID,
    "inbox": text("the address that got it"),
    "originalInbox": text("the address it was sent to; another than `inbox` only when it was rerouted"),
    "domain": text("of the inbox"),
}
_SUMMARY = {
    **_ENVELOPE,
    "from": _MAILBOXES,
    "to": _MAILBOXES,
    "cc": _MAILBOXES,
    "bcc": _MAILBOXES,
    "subject": text(),
    "received": TIME,
    "size": number("bytes of the raw message", minimum=0),
    "rtls": flag("whether it was received over TLS; false = no, or not known"),
    "ip": text('the SMTP client that handed it to `via`; "" = not known'),
    "via": text('the receiving server; "" = not known'),
    "spam": {"type": ["number", "null"], "minimum": 0, "maximum": 1, "description": "null = not known"},
    "attachments": or_null(texts("MD5 of each attachment in hex; null = there is none", pattern="^[0-9a-f]{32}$")),
    "links": texts("URLs found in text and HTML"),
}
_WHOLE = {
    "raw": text("the original message; as bytes: encode it as UTF-8, or as `rawEncoding` says"),
    "headers": _HEADERS,
    "text": text("plain text"),
    "html": text("HTML as it was sent: not safe to show"),
}
_SOMETIMES: dict[str, Schema] = {
    "rawSynthesized": {
        "const": True,
        "description": "`raw` was rebuilt from what the provider had parsed: DKIM does not verify",
    },
}
_SOMETIMES["truncated"] = {
    "type": "array",
    "minItems": 1,
    "description": "the members that do not have everything that the mail has (`raw` has)",
    "items": ref("Truncated"),
}
_STATE = {
    "folder": text("`inbox`, `all`, `spam`, `trash`, or a name of your own"),
    "labels": texts("of your own"),
    "read": flag(),
    "savedBy": or_null(text("the account that starred it; null = not starred")),
}

SCHEMAS: Mapping[str, Schema] = {
    "Error": record(
        {"error": text("what is wrong, and what to do"), "message": text("the same")},
        {"validationErrors": texts("`member: text` of each member or parameter that is wrong")},
    ),
    "Mailbox": record({"address": text(), "name": text('"" when the header gives none')}),
    "Message": record(
        {**_SUMMARY, **_WHOLE},
        {**_SOMETIMES, "rawEncoding": {"const": "latin1", "description": "encode `raw` as latin-1"}},
        "One mail for one inbox: what a WebSocket frame holds.",
    ),
    "Truncated": record(
        {
            "what": text(
                "name of the member: `headers`, `from`, `to`, `cc`, `bcc`, `subject`, `attachments`, `links`"
            ),
            "kept": number("entries (of `subject`: characters) that it has", minimum=0),
            "of": number("that the mail has, as far as they were counted", minimum=1),
        }
    ),
    "MessageSummary": record({**_SUMMARY, **_STATE}, _SOMETIMES, "A message as a list has it."),
    "NearMiss": record(
        {
            **_SUMMARY,
            **_STATE,
            "differs": texts("the conditions that it does not have"),
            "text": text("the same for a person"),
        },
        _SOMETIMES,
        "A message that came, and was not the one that was waited for.",
    ),
    "Address": record(
        {
            "_id": text("the address, in canonical form"),
            "info": text("your own note"),
            "enablews": flag("whether its mail is kept, and sent to WebSockets"),
            "forward": text("kept and given back; nothing acts on it yet"),
            "webhook": text("kept and given back; nothing acts on it yet"),
            "webhookSlack": text("kept and given back; nothing acts on it yet"),
            "webhookSlackToFrom": flag("kept and given back; nothing acts on it yet"),
            "catchAll": {"type": "null"},
            "password": {"type": "null"},
            "encryptedInbox": {"type": "null"},
            "created": or_null(TIME),
            "updated": or_null(TIME),
        },
        {"owner": text("the account; absent when the address is free")},
    ),
    "Domain": record(
        {
            "_id": text("the domain, in canonical form"),
            "owner": or_null(text("the account; null until verified")),
            "verified": flag(),
            "verificationTxt": text("TXT record to set at the domain itself"),
            "lastVerificationErrors": text('why the last check did not verify it; "" = it did, or there was none'),
            "enablews": flag("always true"),
            "created": TIME,
            "updated": TIME,
        }
    ),
    "Report": record(
        {
            "accepted": {
                "type": "array",
                "items": record(
                    {"inbox": text(), "_id": MESSAGE_ID},
                    {"duplicate": {"const": True, "description": "came before; it is not delivered again"}},
                ),
                "description": "stored, and sent to whoever listens",
            },
            "rejected": {
                "type": "array",
                "items": record({"inbox": text(), "reason": text("why nobody may have it")}),
                "description": "another try would not help",
            },
        },
        {
            "parked": {
                "type": "array",
                "items": record({"id": text(), "reason": text()}),
                "description": "kept for the operator: nobody could read it, and its provider would lose it",
            },
            "fetching": {
                "type": "array",
                "items": record({"id": text()}, {"duplicate": {"const": True, "description": "announced before"}}),
                "description": "announced by the post, and still to be fetched from the provider's API",
            },
        },
        "What became of each recipient of a mail.",
    ),
    "Done": record({"_id": text("what it was done to"), "message": text("for a person")}),
}
