"""Messages of some inboxes, newest first, read as they are wanted; and no more than one answer may cost."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog

from relay.letters import layout
from relay.letters.layout import BadLetter
from relay.mailbox import scripts
from relay.mailbox.inboxes import Inbox, Inboxes, ScriptOf
from relay.mailbox.stored_message import MessageSummary
from relay.message_id import MessageId
from relay.store import keys

log = structlog.get_logger()

READ_MESSAGES = 10_000  # for one answer
READ_BYTES = 64 * 1024 * 1024  # of their rows, as they are kept
_PAGE_BYTES = 256 * 1024  # of rows, and one more: longer than a few ms nobody else waits for Redis
_PAGE_MESSAGES = 100  # of one inbox alone
_SHARED_MESSAGES = 8  # of each of many
_INBOXES_AT_ONCE = 16
_THREAD_BYTES = 64 * 1024  # a larger value is read in a thread; it is a letter

Place = tuple[int, int]  # ms and seq; what is later is newer


class _InboxReader:
    """One inbox on the way from its newest message to its oldest."""

    __slots__ = ("address", "ahead", "at", "copies", "place")

    def __init__(self, inbox: Inbox, *, at: str) -> None:
        self.address = inbox.address
        self.at = at  # of the index, where to read on; "" = it is read
        self.place: Place = (inbox.newest_ms, 2**64)  # nothing that is left is newer
        self.ahead: deque[MessageSummary] = deque()
        self.copies: list[str] = []  # ids of starred messages whose letters are gone, newest last

    @property
    def done(self) -> bool:
        return not (self.ahead or self.at or self.copies)

    def take(self) -> MessageSummary:
        entry = self.ahead.popleft()
        following = self.ahead[0] if self.ahead else entry
        self.place = _place(following.id)
        return entry


class NewestFirst:
    """Reads through once. What comes meanwhile is read, or not."""

    def __init__(
        self,
        inboxes: Inboxes,
        account_id: str,
        wanted: Sequence[Inbox],
        *,
        count: int = _PAGE_MESSAGES,
        since_ms: int = 0,
        before: MessageId | None = None,
        copies: Mapping[Inbox, Iterable[bytes]] | None = None,
    ) -> None:
        """From the message ``before`` (inclusive) back to those that came at ``since_ms``, Unix time.

        ``count``: how many are wanted, if that is known; who takes more gets more.
        ``copies``: ids of starred messages; they alone are read.
        """
        self._inboxes = inboxes
        self._account_id = account_id
        self._since_ms = since_ms
        self._page_messages = max(1, min(count, _PAGE_MESSAGES if len(wanted) == 1 else _SHARED_MESSAGES))
        self._messages_left, self._bytes_left = READ_MESSAGES, READ_BYTES
        self._before = before
        at = f"{before.ms}-{before.seq}" if before else "+"
        self._order: list[tuple[int, int, str, _InboxReader]] = []
        for inbox in wanted:
            reader = _InboxReader(inbox, at=at if copies is None else "")
            reader.copies = self._asked_for(copies[inbox]) if copies else []
            self._queue(reader)

    @property
    def exhausted(self) -> bool:
        """Whether there may be more than may be read for one answer."""
        return self._messages_left <= 0 or self._bytes_left <= 0

    async def next(self) -> MessageSummary | None:
        """None at the end, or when :attr:`exhausted`. Raises Unavailable."""
        while self._order:
            reader = self._order[0][-1]
            if reader.ahead:
                heapq.heappop(self._order)
                entry = reader.take()
                self._queue(reader)
                return entry
            if self.exhausted:
                return None
            await self._read()
        return None

    def _queue(self, reader: _InboxReader) -> None:
        if not reader.done:
            ms, seq = reader.place
            heapq.heappush(self._order, (-ms, -seq, reader.address, reader))

    async def _read(self) -> None:
        """The inboxes that come next and have nothing ahead, together."""
        readers: list[_InboxReader] = []
        while self._order and not self._order[0][-1].ahead and len(readers) < _INBOXES_AT_ONCE:
            readers.append(heapq.heappop(self._order)[-1])
        letters = [reader for reader in readers if reader.at]
        copies = [reader for reader in readers if not reader.at]
        scripts_of = [*map(self._page, letters), *map(self._copies, copies)]
        replies = await self._inboxes.run_all(self._account_id, scripts_of)
        for reader, page in zip(letters, replies, strict=False):
            await self._put(reader, page)
        for reader, found in zip(copies, replies[len(letters) :], strict=True):
            await self._put_copies(reader, found)
        for reader in readers:
            self._queue(reader)

    def _page(self, reader: _InboxReader) -> ScriptOf:
        args = (reader.at, self._since_ms, self._page_messages, _PAGE_BYTES)
        return ScriptOf(scripts.PAGE, reader.address, args)

    def _copies(self, reader: _InboxReader) -> ScriptOf:
        some = reader.copies[: -self._page_messages - 1 : -1]
        return ScriptOf(scripts.COPIES, reader.address, (_PAGE_BYTES, *some))

    async def _put(self, reader: _InboxReader, page: Any) -> None:
        """Takes the reply of scripts.PAGE."""
        at, ids, rows, marks, saved, gone = page
        reader.at = at.decode()
        for message_id, row, flags, starred in zip(ids, rows, marks, saved, strict=True):
            text = message_id.decode()
            if layout.is_in_letter(row):
                place = MessageId.parse(text).place
                row = await self._value("GET", keys.letter(reader.address, place)) or row  # noqa: PLW2901
            await self._add(reader, text, row, flags, self._account_id if starred == b"1" else None)
        reader.copies = self._asked_for(gone)

    def _asked_for(self, ids: Iterable[bytes]) -> list[str]:
        """Those of the time asked for, newest last."""
        messages = sorted(map(MessageId.parse, map(bytes.decode, ids)), key=_place)
        before = _place(self._before) if self._before else None
        return [
            str(one) for one in messages if one.ms >= self._since_ms and (before is None or _place(one) <= before)
        ]

    async def _put_copies(self, reader: _InboxReader, found: list[tuple[bytes, bytes, int]]) -> None:
        """Takes the reply of scripts.COPIES."""
        ids = [reader.copies.pop() for _ in found]
        for message_id, (row, flags, starred) in zip(ids, found, strict=True):
            if starred:
                field = f"{message_id} {self._account_id}"
                whole = row or await self._value("HGET", keys.starred(reader.address), field) or b""
                if layout.is_in_letter(whole):
                    whole = await self._value("GET", keys.starred_letter(reader.address, field)) or whole
                await self._add(reader, message_id, whole, flags, self._account_id)
            else:
                self._messages_left -= 1

    async def _value(self, *command: str) -> bytes | None:
        """Of a row that is too large for a script, or lies in its letter."""
        [value] = await self._inboxes.ask(command)
        return value  # type: ignore[no-any-return]

    async def _add(
        self, reader: _InboxReader, message_id: str, row: bytes, flags: bytes, saved_by: str | None
    ) -> None:
        self._messages_left -= 1
        self._bytes_left -= len(row)
        try:
            large = len(row) > _THREAD_BYTES
            shown = (
                await asyncio.to_thread(layout.shown, row, message_id) if large else layout.shown(row, message_id)
            )
        except BadLetter as exc:  # it hides no other
            log.warning("mailbox.bad_row", inbox=reader.address, message=message_id, error=str(exc))
            return
        entry = MessageSummary.of(reader.address, shown, flags, saved_by)
        if not reader.ahead:
            reader.place = _place(entry.id)
        reader.ahead.append(entry)


def _place(message: MessageId) -> Place:
    return message.ms, message.seq
