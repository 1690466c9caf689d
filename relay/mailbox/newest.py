"""Messages of some inboxes, newest first, read as they are wanted; and no more than one answer may cost."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relay.mailbox import scripts
from relay.mailbox.inboxes import Inbox, Inboxes, call
from relay.mailbox.kept import Entry
from relay.message_id import MessageId
from relay.store import Command

READ_MESSAGES = 10_000  # for one answer
READ_BYTES = 256 * 1024 * 1024  # of them, as they are kept
_PAGE_BYTES = 4 * 1024 * 1024  # and one letter: longer than a few ms nobody else waits for Redis
_PAGE_MESSAGES = 100  # of one inbox alone
_SHARED_MESSAGES = 8  # of each of many
_INBOXES_AT_ONCE = 16

Place = tuple[int, int]  # ms and seq; what is later is newer


class _Shelf:
    """One inbox on the way from its newest message to its oldest."""

    __slots__ = ("address", "ahead", "at", "copies", "place", "until")

    def __init__(self, inbox: Inbox, *, at: str, until: str) -> None:
        self.address = inbox.address
        self.at = at  # of the letterbox, where to read on; "" = it is read
        self.until = until
        self.place: Place = (inbox.newest_ms, 2**64)  # nothing that is left is newer
        self.ahead: deque[Entry] = deque()
        self.copies: list[str] = []  # ids of starred messages whose letters are gone, newest last

    @property
    def done(self) -> bool:
        return not (self.ahead or self.at or self.copies)

    def take(self) -> Entry:
        entry = self.ahead.popleft()
        following = self.ahead[0] if self.ahead else entry
        self.place = _place(following.id)
        return entry


class Newest:
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
        self._order: list[tuple[int, int, str, _Shelf]] = []
        for inbox in wanted:
            shelf = _Shelf(inbox, at=at if copies is None else "", until=f"{since_ms}-0")
            shelf.copies = self._asked_for(copies[inbox]) if copies else []
            self._queue(shelf)

    @property
    def exhausted(self) -> bool:
        """Whether there may be more than may be read for one answer."""
        return self._messages_left <= 0 or self._bytes_left <= 0

    async def next(self) -> Entry | None:
        """None at the end, or when :attr:`exhausted`. Raises Unavailable."""
        while self._order:
            shelf = self._order[0][-1]
            if shelf.ahead:
                heapq.heappop(self._order)
                entry = shelf.take()
                self._queue(shelf)
                return entry
            if self.exhausted:
                return None
            await self._read()
        return None

    def _queue(self, shelf: _Shelf) -> None:
        if not shelf.done:
            ms, seq = shelf.place
            heapq.heappush(self._order, (-ms, -seq, shelf.address, shelf))

    async def _read(self) -> None:
        """The inboxes that come next and have nothing ahead, together."""
        shelves: list[_Shelf] = []
        while self._order and not self._order[0][-1].ahead and len(shelves) < _INBOXES_AT_ONCE:
            shelves.append(heapq.heappop(self._order)[-1])
        letters = [shelf for shelf in shelves if shelf.at]
        copies = [shelf for shelf in shelves if not shelf.at]
        replies = await self._inboxes.ask(*map(self._page, letters), *map(self._copies, copies))
        for shelf, page in zip(letters, replies, strict=False):
            self._put(shelf, page)
        for shelf, rows in zip(copies, replies[len(letters) :], strict=True):
            self._put_copies(shelf, rows)
        for shelf in shelves:
            self._queue(shelf)

    def _page(self, shelf: _Shelf) -> Command:
        limits = (self._page_messages, _PAGE_BYTES)
        return call(scripts.PAGE, shelf.address, self._account_id, shelf.at, shelf.until, *limits)

    def _copies(self, shelf: _Shelf) -> Command:
        some = shelf.copies[: -self._page_messages - 1 : -1]
        return call(scripts.COPIES, shelf.address, self._account_id, _PAGE_BYTES, *some)

    def _put(self, shelf: _Shelf, page: Any) -> None:
        """Takes the reply of scripts.PAGE."""
        at, size_bytes, frames, marks, saved, gone = page
        shelf.at = at.decode()
        for frame, flags, starred in zip(frames, marks, saved, strict=True):
            self._add(shelf, frame, flags, self._account_id if starred == b"1" else None)
        self._spend(len(frames), size_bytes)
        shelf.copies = self._asked_for(gone)

    def _asked_for(self, ids: Iterable[bytes]) -> list[str]:
        """Those of the time asked for, newest last."""
        messages = sorted(map(MessageId.parse, map(bytes.decode, ids)), key=_place)
        before = _place(self._before) if self._before else None
        return [
            str(one) for one in messages if one.ms >= self._since_ms and (before is None or _place(one) <= before)
        ]

    def _put_copies(self, shelf: _Shelf, rows: list[tuple[bytes, bytes, int]]) -> None:
        del shelf.copies[-len(rows) :]
        for frame, flags, size_bytes in rows:
            if frame:
                self._add(shelf, frame, flags, self._account_id)
            self._spend(1, size_bytes)

    def _add(self, shelf: _Shelf, frame: bytes, flags: bytes, saved_by: str | None) -> None:
        entry = Entry.of(shelf.address, frame, flags, saved_by)
        if not shelf.ahead:
            shelf.place = _place(entry.id)
        shelf.ahead.append(entry)

    def _spend(self, messages: int, size_bytes: int) -> None:
        self._messages_left -= messages
        self._bytes_left -= size_bytes


def _place(message: MessageId) -> Place:
    return message.ms, message.seq
