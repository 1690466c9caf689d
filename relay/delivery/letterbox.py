"""Reading what Redis keeps: the letters of an inbox, how far its count has come, and which inboxes a domain has.

publish.lua writes all this. Every call raises Unavailable when Redis is away.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from relay.delivery.tombstones import Tombstones
from relay.message_id import BadMessageId, MessageId
from relay.store import Store, keys

# Of what publish.lua announces inline, as much as this comes in one page; of what it only announces, one letter.
PAGE_LETTERS = 16
_QUESTIONS_AT_ONCE = 500  # small ones: some 20 ms of Redis' and our time
_AFTER_HEAD = len('{"_id":"')


class Entry(NamedTuple):
    """One kept letter."""

    id: MessageId
    owner: str  # account that it came for
    frame: bytes  # the message JSON


class Page(NamedTuple):
    """Some kept letters, in order."""

    entries: list[Entry]
    end: str  # entry id of the last, "" = there was none
    full: bool  # as many as were asked for: there may be more


class Top(NamedTuple):
    """How far an inbox has come."""

    last: MessageId  # of the newest message, kept or not
    large: bool  # whether there may be letters beyond what a doorbell carries


class Floor(NamedTuple):
    """The oldest message from which on nothing of an inbox is lost: all is kept, or was deleted by its owner."""

    ms: int
    seq: int


# KEYS: letterbox, what was deleted of the newest message's epoch, ids of letters. ARGV: the newest message's seq.
# Replies ms and seq of the floor; nothing when the newest is lost. The oldest letter itself may be 40 MB.
_FLOOR = """
local ms, seq = nil, tonumber(ARGV[1]) + 1
local oldest
if redis.call('ZCARD', KEYS[3]) == redis.call('XLEN', KEYS[1]) then
  oldest = string.match(redis.call('ZRANGE', KEYS[3], 0, 0)[1] or '', '%-(%d+%-%d+) ')
else -- an older version of us put letters there without their ids
  oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  oldest = oldest and oldest[1]
end
if oldest then
  ms, seq = string.match(oldest, '^(%d+)%-(%d+)$')
  seq = tonumber(seq)
end
local below = redis.call('ZREVRANGEBYSCORE', KEYS[2], seq - 1, '-inf', 'LIMIT', 0, 1)[1]
if below then
  local first, last, first_ms = string.match(below, '^(%d+)%-(%d+)%-(%d+)$')
  if tonumber(last) >= seq - 1 then ms, seq = first_ms, tonumber(first) end
end
return ms and {ms, string.format('%.0f', seq)} or {}
"""


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
        """By inbox; None where no mail is known of: there was none, or it is forgotten."""
        wanted = list(inboxes)
        tops: dict[str, Top | None] = {}
        for start in range(0, len(wanted), _QUESTIONS_AT_ONCE):
            some = wanted[start : start + _QUESTIONS_AT_ONCE]
            rows = await self._store.ask(
                *(("HMGET", keys.meta(inbox), "epoch", "ms", "seq", "large") for inbox in some)
            )
            tops.update((inbox, _top(inbox, row)) for inbox, row in zip(some, rows, strict=True))
        return tops

    async def floor(self, inbox: str, newest: MessageId) -> Floor | None:
        """Where what is lost of an inbox ends; None when its newest message is lost too."""
        names = keys.letterbox(inbox), keys.deleted(inbox, newest.epoch), keys.letter_ids(inbox)
        [found] = await self._store.ask(("EVAL", _FLOOR, len(names), *names, newest.seq))
        return Floor(*map(int, found)) if found else None

    async def deleted(self, inbox: str, epoch: str) -> Tombstones:
        """What its owner deleted of one epoch."""
        [members] = await self._store.ask(("ZRANGE", keys.deleted(inbox, epoch), 0, -1))
        return Tombstones(members)

    async def pages(self, starts: Sequence[tuple[str, str]], count: int) -> list[Page]:
        """For each inbox the first ``count`` letters from its start: an entry id, after "(" when it is exclusive."""
        replies = await self._store.ask(
            *(("XRANGE", keys.letterbox(inbox), start, "+", "COUNT", count) for inbox, start in starts)
        )
        return [_page(rows, count) for rows in replies]

    async def fetch(self, inbox: str, message: MessageId) -> bytes | None:
        """The JSON of one letter; None when it is no longer kept."""
        [page] = await self.pages([(inbox, message.entry)], 1)
        return page.entries[0].frame if page.entries and page.entries[0].id == message else None

    async def domain_inboxes(self, domain: str, since_ms: int) -> list[str]:
        """The inboxes of a domain that may have letters of that time or later."""
        [members] = await self._store.ask(("ZRANGEBYSCORE", keys.domain_inboxes(domain), since_ms, "+inf"))
        return [member.decode() for member in members]


def _top(inbox: str, row: list[bytes | None]) -> Top | None:
    epoch, ms, seq, large = row
    if epoch is None or ms is None or seq is None:
        return None
    return Top(MessageId(keys.inbox_tag(inbox) + epoch.decode(), int(ms), int(seq)), large is not None)


def _page(rows: list[tuple[bytes, list[bytes]]], count: int) -> Page:
    end = rows[-1][0].decode() if rows else ""
    return Page([entry for row in rows if (entry := _entry(row))], end, len(rows) == count)


def _entry(row: tuple[bytes, list[bytes]]) -> Entry | None:
    """None for an entry that is none of ours."""
    fields = dict(zip(row[1][::2], row[1][1::2], strict=True))
    frame = fields.get(b"m", b"")
    head = frame[_AFTER_HEAD : frame.find(b'"', _AFTER_HEAD)]
    try:
        return Entry(MessageId.parse(head.decode()), fields.get(b"o", b"").decode(), frame)
    except (BadMessageId, UnicodeDecodeError):
        return None
