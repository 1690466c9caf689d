"""What some inboxes got after the place where a reader of theirs stands: letters, and gaps where some are missing.

Oldest first over all inboxes, so that the one ``_id`` that a client saw last says where it stands in each of them.
Rows of the index say what there is. Little of the letters is in memory at a time: some small ones, or one large one.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from relay.delivery.letter import Gap, GapReason, Letter
from relay.delivery.letterbox import (
    PAGE_ROWS,
    Entry,
    Floor,
    Letterbox,
    Page,
    Top,
)
from relay.delivery.tombstones import Tombstones
from relay.letters.layout import Sealed
from relay.message_id import MessageId

_AHEAD_BYTES = (
    8 * 1024 * 1024
)  # of letters whose turn has not come; beyond it each is read alone, when it has come
_AT_ONCE_BYTES = 1024 * 1024  # of letters that are read together: a ms of Redis' time
_INBOXES_AT_ONCE = 16  # whose rows are read together
_LARGEST_SEQ = 2**64 - 1  # Redis: the largest second half of an entry id


@dataclass(frozen=True, slots=True)
class After:
    """Behind a message that the reader has."""

    message: MessageId


@dataclass(frozen=True, slots=True)
class Since:
    """From a time on; also where the reader has nothing."""

    ms: int  # Unix time in milliseconds, inclusive


Start = After | Since


class _InboxReader:
    """One inbox on the way: what was read of it and not yet taken."""

    __slots__ = ("ahead", "exhausted", "inbox", "last", "letters", "reader", "start")

    def __init__(self, inbox: str, start: Start, top: Top | None) -> None:
        self.inbox = inbox
        self.reader = start.message if isinstance(start, After) else None  # has this, and all before it
        self.last = self.reader  # the message before the first ahead; None = whatever there was
        self.start = _first_page(start, top)
        self.exhausted = False
        self.ahead: deque[Entry] = deque()
        self.letters: deque[Sealed | None] = deque()  # of the first ahead, as far as they are read

    def put(self, page: Page) -> None:
        """Takes what was read from ``start``."""
        reader = self.reader
        self.ahead.extend(entry for entry in page.entries if reader is None or not entry.id.repeats(reader))
        self.exhausted = not page.full
        self.start = f"({page.end}"

    def gap(self) -> GapReason | None:
        """What lies between the last message and the first ahead."""
        first, last = self.ahead[0].id, self.last
        if last is None or first.continues(last):
            return None
        return "epoch" if first.stream != last.stream or first.seq <= last.seq else "trimmed"


def _first_page(start: Start, top: Top | None) -> str:
    if isinstance(start, Since):
        return f"{max(start.ms, 0)}-0"
    reader = start.message
    if top is None or top.last.stream != reader.stream:
        return "-"
    # Redis has lost its last writes, the reader's among them: what came later came later by the clock too.
    return reader.entry if reader.seq <= top.last.seq else f"({reader.ms}-{_LARGEST_SEQ}"


class OldestFirst:
    """Reads once through; what comes while it does is read, or not."""

    def __init__(self, letterbox: Letterbox, starts: Mapping[str, Start]) -> None:
        self._letterbox = letterbox
        self._starts = dict(starts)
        self._opened = False
        self._order: list[tuple[int, int, str, _InboxReader]] = []  # by the first letter ahead
        self._gaps: deque[Gap] = deque()
        self._page_rows = max(1, PAGE_ROWS // max(len(starts), 1))
        self._ahead_bytes = 0
        self._deleted: dict[tuple[str, str], Tombstones] = {}  # by inbox and epoch, as last read

    async def next(self) -> Letter | Gap | None:
        """The next letter, or the gap before it; None at the end. Raises Unavailable."""
        if not self._opened:
            await self._open()
            self._opened = True
        if self._gaps:
            return self._gaps.popleft()
        while self._order:
            shelf = self._order[0][-1]
            if reason := shelf.gap():
                after, shelf.last = shelf.last, None
                first = shelf.ahead[0].id
                if reason == "epoch" or not await self._were_deleted(shelf.inbox, after, first.seq - 1):
                    return Gap(shelf.inbox, after, first, await self._why(shelf.inbox, reason))
            if item := await self._take():
                return item
        return None

    async def _take(self) -> Letter | Gap | None:
        """The next letter; None when it was deleted meanwhile."""
        shelf = heapq.heappop(self._order)[-1]
        if not shelf.letters:
            await self._load(shelf)
        before, entry, letter = shelf.last, shelf.ahead[0], shelf.letters[0]
        reached = self._pop(shelf)
        while letter is None and shelf.letters and shelf.letters[0] is None:  # what expired is one gap
            reached = self._pop(shelf)
        shelf.last = reached.id
        if not shelf.ahead:
            await self._read([shelf])
        self._queue(shelf)
        if letter is not None:
            found = Letter.of(entry.owner, shelf.inbox, entry.id, letter)
            await found.prepare()
            return found
        if await self._were_deleted(shelf.inbox, entry.id, reached.id.seq, itself=True):
            return None
        return Gap(shelf.inbox, before, None, await self._why(shelf.inbox, "trimmed"), reached=reached.id)

    def _pop(self, shelf: _InboxReader) -> Entry:
        entry = shelf.ahead.popleft()
        shelf.letters.popleft()
        self._ahead_bytes -= entry.stored_bytes
        return entry

    async def _load(self, shelf: _InboxReader) -> None:
        """The letters of the first that are ahead: one at least."""
        room = min(_AT_ONCE_BYTES, _AHEAD_BYTES - self._ahead_bytes)
        some = [shelf.ahead[0]]
        for entry in islice(shelf.ahead, 1, None):
            room -= some[-1].stored_bytes
            if entry.stored_bytes > room:
                break
            some.append(entry)
        self._ahead_bytes += sum(entry.stored_bytes for entry in some)
        shelf.letters.extend(await self._letterbox.letters(shelf.inbox, [entry.id for entry in some]))

    def _queue(self, shelf: _InboxReader) -> None:
        if shelf.ahead:
            first = shelf.ahead[0].id
            heapq.heappush(self._order, (first.ms, first.seq, shelf.inbox, shelf))

    async def _open(self) -> None:
        tops = await self._letterbox.tops(self._starts)
        shelves = [_InboxReader(inbox, start, tops[inbox]) for inbox, start in self._starts.items()]
        for at in range(0, len(shelves), _INBOXES_AT_ONCE):
            await self._read(shelves[at : at + _INBOXES_AT_ONCE])
        for shelf in shelves:
            await self._open_gap(shelf, self._starts[shelf.inbox], tops[shelf.inbox])
            self._queue(shelf)

    async def _read(self, shelves: list[_InboxReader]) -> None:
        """Rows for each that has none ahead, if there are."""
        while empty := [shelf for shelf in shelves if not shelf.ahead and not shelf.exhausted]:
            pages = await self._letterbox.pages([(shelf.inbox, shelf.start) for shelf in empty], self._page_rows)
            for shelf, page in zip(empty, pages, strict=True):
                shelf.put(page)

    async def _open_gap(self, shelf: _InboxReader, start: Start, top: Top | None) -> None:
        """The gaps that no pair of neighbouring letters shows: before everything, or where nothing is left."""
        if isinstance(start, Since):
            if top and await self._lacks(shelf, start, top):
                first = shelf.ahead[0].id if shelf.ahead else None
                reason = await self._why(shelf.inbox, "trimmed")
                self._gaps.append(Gap(shelf.inbox, None, first, reason, reached=top.last))
        elif not shelf.ahead and (top is None or top.last != start.message):
            lost = top is None or top.last.stream != start.message.stream or top.last.seq <= start.message.seq
            if not lost and top and await self._were_deleted(shelf.inbox, start.message, top.last.seq):
                return
            reason = await self._why(shelf.inbox, "epoch" if lost else "trimmed", start.message)
            self._gaps.append(Gap(shelf.inbox, start.message, None, reason, reached=top.last if top else None))

    async def _lacks(self, shelf: _InboxReader, start: Since, top: Top) -> bool:
        """Whether a message of the time asked for, or later, is lost, as far as can be known."""
        if shelf.ahead[0].id.seq == 1 if shelf.ahead else top.last.ms < start.ms:
            return False
        if not shelf.ahead and not await self._were_deleted(shelf.inbox, top.last, top.last.seq, itself=True):
            return True
        floor = await self._letterbox.floor(shelf.inbox, top.last)
        if floor is None or floor.seq == 1 or floor.ms < start.ms:
            return floor is None  # else an older one is not lost, or there was none
        return self._is_full(floor, top) or start.ms < await self._kept_since_ms()

    async def _were_deleted(
        self, inbox: str, after: MessageId | None, last_seq: int, *, itself: bool = False
    ) -> bool:
        """Whether its owner deleted all from the one after ``after`` (or from ``itself``) to ``last_seq``."""
        if after is None:
            return False
        first_seq = after.seq if itself else after.seq + 1
        known = self._deleted.get((inbox, after.epoch))
        if known is None or not known.covers(first_seq, last_seq):
            known = self._deleted[inbox, after.epoch] = await self._letterbox.deleted(inbox, after.epoch)
        return known.covers(first_seq, last_seq)

    async def _why(self, inbox: str, reason: GapReason, reader: MessageId | None = None) -> GapReason:
        """``trimmed`` only where there are as many as are kept, and ``epoch`` only as long as a count is kept."""
        if reason == "trimmed" and not await self._trims(inbox):
            return "expired"
        if reason == "epoch" and reader and reader.ms < await self._kept_since_ms():
            return "expired"
        return reason

    async def _trims(self, inbox: str) -> bool:
        """Whether an inbox has got more since its floor than is kept, by number or by bytes."""
        top = (await self._letterbox.tops([inbox]))[inbox]
        floor = await self._letterbox.floor(inbox, top.last) if top else None
        # Asked once more: a message that came between the two has moved the floor.
        top = (await self._letterbox.tops([inbox]))[inbox]
        if top is None or floor is None:
            return False
        return self._is_full(floor, top) or await self._letterbox.cut(inbox) >= max(floor.seq - 1, 1)

    def _is_full(self, floor: Floor, top: Top) -> bool:
        return top.last.seq - floor.seq + 1 >= self._letterbox.keep_messages

    async def _kept_since_ms(self) -> int:
        return await self._letterbox.now_ms() - self._letterbox.keep_seconds * 1000
