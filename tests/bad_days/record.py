"""What one listener got, frame by frame."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from relay.address import domain_of
from relay.message_id import MessageId
from relay.store.keys import inbox_tag


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it arrived."""

    id: MessageId
    inbox: str
    token: str  # of the mail, see posting.py
    arrived_seconds: float  # time.monotonic()


@dataclass(frozen=True, slots=True)
class ToldGap:
    """A gap frame. ``next`` is filled in with the next message when the frame had none."""

    inbox: str | None
    after: MessageId | None
    next: MessageId | None
    reason: str

    def covers(self, missing: MessageId) -> bool:
        """Whether who was told this knows that the message may be missing."""
        if missing.tag not in self._tags():
            return False
        return not (self.after and _reaches(self.after, missing)) and not (
            self.next and _reaches(missing, self.next)
        )

    def _tags(self) -> set[str]:
        if self.inbox is not None:
            return {inbox_tag(self.inbox)}
        return {end.tag for end in (self.after, self.next) if end}


class Record:
    """All frames of one listener, over all its connections."""

    def __init__(self, addresses: str) -> None:
        """``addresses``: what it listens to, with commas between."""
        self.frames: list[Frame] = []
        self.gaps: list[ToldGap] = []
        self.told: list[dict[str, Any]] = []  # refusals
        self.disordered: list[MessageId] = []
        self.last: dict[str, MessageId] = {}  # by inbox
        self.addresses: Collection[str] = addresses.split(",")
        self._tokens: Counter[str] = Counter()

    def tokens(self) -> Counter[str]:
        """How often each mail came."""
        return self._tokens

    def wants(self, inbox: str) -> bool:
        """Whether mail for the inbox should come."""
        return inbox in self.addresses or domain_of(inbox) in self.addresses

    def take(self, frame: dict[str, Any]) -> None:
        """Records one frame."""
        if "_id" in frame:
            self._take_message(frame)
        elif frame["status"] == 206:
            self.gaps.append(ToldGap(frame["inbox"], _id(frame["after"]), _id(frame["next"]), frame["reason"]))
        else:
            self.told.append(frame)

    def _take_message(self, frame: dict[str, Any]) -> None:
        told = Frame(MessageId.parse(frame["_id"]), frame["inbox"], frame["subject"], time.monotonic())
        last = self.last.get(told.inbox)
        if last and told.id.repeats(last) and told.token not in self._tokens:
            self.disordered.append(told.id)
        self.last[told.inbox] = told.id
        self._tokens[told.token] += 1
        self.frames.append(told)
        self.gaps = [
            replace(gap, next=told.id) if gap.next is None and gap.inbox in (told.inbox, None) else gap
            for gap in self.gaps
        ]


def _reaches(message: MessageId, earlier: MessageId) -> bool:
    """Whether ``message`` is ``earlier``, or came after it; between two histories the clock decides."""
    if message.history != earlier.history:
        return message.ms > earlier.ms
    return earlier.repeats(message)


def _id(text: str | None) -> MessageId | None:
    return MessageId.parse(text) if text else None
