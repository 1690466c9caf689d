"""One kept message: whole, and as lists show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from relay.errors import BadRequest, NotFound
from relay.letters.layout import Sealed, json_bytes
from relay.message_id import BadMessageId, MessageId

_NO_FLAGS = "0\ninbox"


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message of an inbox: its letter, or a copy that is kept because it is starred."""

    id: MessageId
    inbox: str  # canonical
    owner: str  # account that it came for
    sealed: Sealed = field(repr=False)

    @property
    def size_bytes(self) -> int:
        """Of the message JSON."""
        return json_bytes(self.sealed, str(self.id))

    def json(self) -> bytes:
        """The message JSON. Takes time with a large one. Raises BadLetter: it is damaged."""
        return self.sealed.json(str(self.id))


class Flags(NamedTuple):
    """What its owner may set on a message."""

    read: bool
    folder: str
    labels: list[str]

    @classmethod
    def parse(cls, text: bytes) -> Flags:
        """From the form that scripts.py describes; "" = nothing was set."""
        read, folder, *labels = (text.decode() or _NO_FLAGS).split("\n")
        return cls(read == "1", folder, labels)


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """A message as lists show it."""

    id: MessageId
    inbox: str
    members: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, inbox: str, shown: dict[str, Any], flags: bytes, saved_by: str | None) -> MessageSummary:
        """``shown`` is the message without what lists do not show, ``flags`` what is set on it; b"" = nothing."""
        read, folder, labels = Flags.parse(flags)
        members = shown | {"folder": folder, "labels": labels, "read": read, "savedBy": saved_by}
        return cls(MessageId.parse(members["_id"]), inbox, members)


def parse_id(text: str) -> MessageId:
    """An ``_id`` of a path. Raises BadRequest: malformed."""
    try:
        return MessageId.parse(text)
    except BadMessageId as exc:
        raise BadRequest(f"the message id is malformed: {exc}", member="messageId") from None


def missing(inbox: str) -> NotFound:
    """The error for a message that is not there, for whatever reason."""
    return NotFound(f"{inbox} has no such message: it was deleted, is no longer kept, or never was")
