"""Reading what Redis keeps: the letters of an inbox, how far its count has come, and which inboxes a domain has.

publish.lua writes all this. Every call raises Unavailable when Redis is away.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from relay.delivery.tombstones import Tombstones
from relay.letters.layout import Sealed
from relay.letters.version_0_2 import adopt
from relay.message_id import MessageId
from relay.store import Script, Store, keys

_FLOOR = Script.load("delivery/lua/floor.lua")
PAGE_ROWS = 100  # of an inbox; some 60 KB
_QUESTIONS_AT_ONCE = 500  # small ones: some 20 ms of Redis' and our time


class Entry(NamedTuple):
    """The row of one kept letter."""

    id: MessageId
    owner: str  # account that it came for
    stored_bytes: int  # of row and letter


class Page(NamedTuple):
    """Some rows, in order."""

    entries: list[Entry]
    end: str  # entry id of the last, "" = there was none
    full: bool  # as many as were asked for: there may be more


class Top(NamedTuple):
    """How far an inbox has come."""

    last: MessageId  # of the newest message, kept or not


class Floor(NamedTuple):
    """The oldest message from which on nothing of an inbox is lost: all is kept, or was deleted by its owner."""

    ms: int
    seq: int


class Letterbox:
    """All letterboxes."""

    def __init__(self, store: Store, *, keep_messages: int, keep_seconds: int) -> None:
        self._store = store
        self.keep_messages = keep_messages
        self.keep_seconds = keep_seconds

    async def now_ms(self) -> int:
        """Redis' clock, which all ids are made of."""
        seconds, microseconds = (await self._store.ask(("TIME",)))[0]
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def tops(self, inboxes: Collection[str]) -> dict[str, Top | None]:
        """By inbox; None where no mail is known of: there was none, or it is forgotten.

        Afterwards the index of each has also what a process of version 0.2 has kept.
        """
        wanted = list(inboxes)
        tops: dict[str, Top | None] = {}
        for start in range(0, len(wanted), _QUESTIONS_AT_ONCE):
            some = wanted[start : start + _QUESTIONS_AT_ONCE]
            rows = await self._store.ask(
                *(("HMGET", keys.meta(inbox), "epoch", "ms", "seq", "indexed") for inbox in some)
            )
            for inbox, (*top, indexed) in zip(some, rows, strict=True):
                tops[inbox] = _top(inbox, top)
                if indexed != top[-1]:
                    await adopt(self._store, inbox, keep_seconds=self.keep_seconds)
        return tops

    async def floor(self, inbox: str, newest: MessageId) -> Floor | None:
        """Where what is lost of an inbox ends; None when its newest message is lost too."""
        names = keys.index(inbox), keys.deleted(inbox, newest.epoch)
        found = await self._store.run(_FLOOR, keys=names, args=[newest.seq, self.keep_seconds * 1000])
        return Floor(*map(int, found)) if found else None

    async def cut(self, inbox: str) -> int:
        """The ``seq`` of the last message that made room because of its bytes; 0 = there was none."""
        [seq] = await self._store.ask(("HGET", keys.meta(inbox), "cut"))
        return int(seq or 0)

    async def deleted(self, inbox: str, epoch: str) -> Tombstones:
        """What its owner deleted of one epoch."""
        [members] = await self._store.ask(("ZRANGE", keys.deleted(inbox, epoch), 0, -1))
        return Tombstones(members)

    async def pages(self, starts: Sequence[tuple[str, str]], count: int) -> list[Page]:
        """For each inbox the first ``count`` rows from its start: an entry id, after "(" when it is exclusive."""
        replies = await self._store.ask(
            *(("XRANGE", keys.index(inbox), start, "+", "COUNT", count) for inbox, start in starts)
        )
        return [_page(inbox, rows, count) for (inbox, _), rows in zip(starts, replies, strict=True)]

    async def fetch(self, inbox: str, message: MessageId) -> Sealed | None:
        """One letter; None when it is no longer kept."""
        [letter] = await self.letters(inbox, [message])
        if letter is None:  # perhaps a process of version 0.2 has kept it
            await adopt(self._store, inbox, keep_seconds=self.keep_seconds)
            [letter] = await self.letters(inbox, [message])
        return letter

    async def letters(self, inbox: str, messages: Sequence[MessageId]) -> list[Sealed | None]:
        """Letters; None for one that is no longer kept, or that nobody can read."""
        names = [keys.letter(inbox, message.place) for message in messages]
        [values] = await self._store.ask(("MGET", *names))
        return [Sealed.parse_or_none(value) for value in values]

    async def domain_inboxes(self, domain: str, since_ms: int) -> list[str]:
        """The inboxes of a domain that may have letters of that time or later."""
        [members] = await self._store.ask(("ZRANGEBYSCORE", keys.domain_inboxes(domain), since_ms, "+inf"))
        return [member.decode() for member in members]


def _top(inbox: str, row: list[bytes | None]) -> Top | None:
    epoch, ms, seq = row
    if epoch is None or ms is None or seq is None:
        return None
    return Top(MessageId(keys.inbox_tag(inbox) + epoch.decode(), int(ms), int(seq)))


def _page(inbox: str, rows: list[tuple[bytes, list[bytes]]], count: int) -> Page:
    end = rows[-1][0].decode() if rows else ""
    tag = keys.inbox_tag(inbox)
    return Page([_entry(tag, row) for row in rows], end, len(rows) == count)


def _entry(tag: str, row: tuple[bytes, list[bytes]]) -> Entry:
    place, (_, owner, _, epoch, _, stored_bytes, *_) = row
    ms, _, seq = place.decode().partition("-")
    return Entry(MessageId(tag + epoch.decode(), int(ms), int(seq)), owner.decode(), int(stored_bytes))
