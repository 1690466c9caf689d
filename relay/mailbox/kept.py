"""One kept message, as Redis holds it."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.errors import BadRequest, NotFound
from relay.message_id import BadMessageId, MessageId


@dataclass(frozen=True, slots=True)
class Kept:
    """A message of an inbox: in its letterbox, or a copy that is kept because it is starred."""

    id: MessageId
    inbox: str  # canonical
    owner: str  # account that it came for
    frame: bytes = field(repr=False)  # the message JSON


def parse_id(text: str) -> MessageId:
    """An ``_id`` of a path. Raises BadRequest: malformed."""
    try:
        return MessageId.parse(text)
    except BadMessageId as exc:
        raise BadRequest(f"the message id is malformed: {exc}", member="messageId") from None


def missing(inbox: str) -> NotFound:
    """The error for a message that is not there, for whatever reason."""
    return NotFound(f"{inbox} has no such message: it was deleted, is no longer kept, or never was")
