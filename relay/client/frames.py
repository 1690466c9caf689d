"""What the server sends, parsed: total, so that a newer server or another one ends no listener."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from relay.message_id import BadMessageId, MessageId

Message = dict[str, Any]  # the message JSON, in either frame format

_WHY = {
    "expired": "they were older than the service keeps mail; listen more often",
    "trimmed": "more came than the service keeps; listen more often, or let it keep more",
    "epoch": "the service has lost its count, as when its Redis was emptied; nobody knows whether mail is missing",
}


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages of an inbox that do not come, or may not; ``str()`` says so to a person."""

    inbox: str | None  # None: an inbox of a domain that the service has forgotten; ``after`` says which
    after: str | None  # ``_id`` of the last message before the gap; None = whatever there was
    next: str | None  # ``_id`` of the first message after it; None = the next that comes
    reason: str  # expired, trimmed or epoch: README.md says when

    def __str__(self) -> str:
        where = self.inbox or "an inbox that is not known any more"
        after = f" after {self.after}" if self.after else ""
        before = f" before {self.next}" if self.next else ""
        return f"messages of {where}{after}{before} may be missing: {_WHY.get(self.reason, self.reason)}"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The first frame: the subscriptions stand, and what is posted from now on arrives."""

    addresses: int
    domains: int

    def __str__(self) -> str:
        counts = ((self.addresses, "address", "addresses"), (self.domains, "domain", "domains"))
        return " and ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts if count)


@dataclass(frozen=True, slots=True)
class Mail:
    """One message. ``id``: its ``_id``; None when it is none of a relay, and so no cursor."""

    message: Message
    id: MessageId | None


@dataclass(frozen=True, slots=True)
class LastWords:
    """Why the server is about to close."""

    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Anything else, as text of bounded length."""

    text: str


Frame = Mail | Gap | Confirmed | LastWords | Unknown
_SHOWN_CHARS = 500


def parse(data: bytes) -> Frame:
    """One frame, of either format. Never raises."""
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        parsed = {"unreadable_bytes": len(data)}
    match parsed:
        case {"_id": name}:
            return Mail(parsed, _message_id(name))
        case {"email": {"_id": name} as message}:
            return Mail(message, _message_id(name))
        case {"msg": "Gap", "reason": str(reason)}:
            return Gap(_text(parsed, "inbox"), _text(parsed, "after"), _text(parsed, "next"), reason)
        case {"error": error}:
            return LastWords(str(error))
        case {"msg": "Listening"}:
            return Confirmed(_length(parsed, "addresses"), _length(parsed, "domains"))
    return Unknown(orjson.dumps(parsed).decode()[:_SHOWN_CHARS])


def _message_id(name: object) -> MessageId | None:
    try:
        return MessageId.parse(name) if isinstance(name, str) else None
    except BadMessageId:
        return None


def _text(parsed: Message, name: str) -> str | None:
    value = parsed.get(name)
    return value if isinstance(value, str) else None


def _length(parsed: Message, name: str) -> int:
    value = parsed.get(name)
    return len(value) if isinstance(value, list) else 0
