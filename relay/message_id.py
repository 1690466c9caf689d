"""``_id``: the name of a message, its place in its inbox, and so a cursor: ``<history>-<ms>-<seq>``.

A stream id of Redis is clock time and cannot prove that nothing is missing. So each inbox has a gapless counter and a
random epoch: within one epoch ``seq`` rises by exactly one per message, and another epoch says that nobody can know.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TAG_HEX = 10  # digits that name the inbox
EPOCH_HEX = 6  # and its epoch

_FORM = re.compile(rf"([0-9a-f]{{{TAG_HEX + EPOCH_HEX}}})-([0-9]{{1,15}})-([0-9]{{1,15}})")


class BadMessageId(ValueError):
    """The text is no ``_id`` of this service."""


class MessageId(NamedTuple):
    """Sorts within one history."""

    stream: str  # tag of the inbox and epoch, 16 hex digits: one unbroken count
    ms: int  # Unix time in milliseconds, of Redis' clock; never falls within a history
    seq: int  # 1 for the first of a history's inbox

    @classmethod
    def parse(cls, text: str) -> MessageId:
        """Raises BadMessageId."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise BadMessageId("not an _id: <16 hex digits>-<milliseconds>-<number>")
        return cls(match[1], int(match[2]), int(match[3]))

    def __str__(self) -> str:
        return f"{self.stream}-{self.ms}-{self.seq}"

    @property
    def tag(self) -> str:
        """What names the inbox, see :func:`relay.store.keys.inbox_tag`."""
        return self.stream[:TAG_HEX]

    @property
    def epoch(self) -> str:
        """What names the count, within the inbox."""
        return self.stream[TAG_HEX:]

    @property
    def entry(self) -> str:
        """The id of its entry in the index."""
        return f"{self.ms}-{self.seq}"

    @property
    def place(self) -> str:
        """What names its letter within the inbox: ``<epoch>-<ms>-<seq>``."""
        return f"{self.epoch}-{self.ms}-{self.seq}"

    def continues(self, last: MessageId) -> bool:
        """Whether nothing can lie between ``last`` and this."""
        return self.seq == last.seq + 1 and self.stream == last.stream and self.ms >= last.ms

    def repeats(self, last: MessageId) -> bool:
        """Whether who has ``last`` has this. A Redis that lost its last writes counts them again, but later."""
        return self.stream == last.stream and self.seq <= last.seq and self.ms <= last.ms
