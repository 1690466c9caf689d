"""Waiting on one inbox: read what is there after the caller's cursor, then be woken by what comes.

No mail falls between the two: the waiter listens before it reads, and what wakes it only makes it read on from where
it stands. So two requests with the cursor of the first miss nothing between them either.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

import orjson

from relay.delivery.history import After, OldestFirst, Start
from relay.delivery.letter import Gap, Letter, Listener, SocketStatus
from relay.delivery.letterbox import Letterbox
from relay.errors import LEAVING, Close, Refused
from relay.letters.layout import BODIES
from relay.message_id import MessageId
from relay.waiting.wanted import Wanted

NEAR_MISSES = 20  # the newest; who waits for one mail wants to see what came instead, not all of it
_READING_AT_ONCE = 4  # pages of a MiB, as for sockets that resume
_SEARCHING_AT_ONCE = 2  # threads for messages that take long to look at; an account has one of them at most
_THREAD_BYTES = 64 * 1024  # larger messages do


class Node(Protocol):
    """Who tells of new mail; node.py is it."""

    async def admit(self, listener: Listener, claimed_account: str | None) -> None:
        """From now on the listener gets mail. Raises Refused, Unavailable."""

    def leave(self, listener: Listener) -> None:
        """No more of it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Whose mail, since when, and what it must be like. Who asks may read the inbox."""

    account_id: str
    key_hash: str
    inbox: str
    domain: str  # under which its mail comes when nobody reserved the inbox itself; "" = it is reserved
    start: Start
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class CheckedMail:
    """A mail that was looked at. Its text is not held: a thousand of them may be large ones."""

    id: MessageId
    frame: bytes  # the message JSON without what lists do not show
    differs: tuple[str, ...]  # see Wanted.differs; () = it is wanted


@dataclass(frozen=True, slots=True)
class WaitResult:
    """What a wait found."""

    mails: tuple[CheckedMail, ...]  # those that are wanted, oldest first
    reached: MessageId | None  # cursor: up to here all mail was looked at; None = there was none


class _Waiter:
    """A listener that is only woken."""

    def __init__(self, wait: Wait) -> None:
        self.account = ""
        self.waits_for = wait.inbox
        self.key_hash = wait.key_hash
        self.addresses: Collection[str] = () if wait.domain else (wait.inbox,)
        self.domains: Collection[str] = (wait.domain,) if wait.domain else ()
        self._rung = asyncio.Event()
        self._refused: Refused | None = None

    def deliver(self, letter: Letter | Gap) -> None:
        if letter.inbox == self.waits_for:
            self._rung.set()

    def status(self) -> SocketStatus | None:
        return None  # it is no socket

    def end(self, close: Close, text: str) -> None:
        self._refused = self._refused or Refused(close, text)
        self._rung.set()

    async def woken(self, until: float) -> bool:
        """Waits until there may be more to read; False: not until then, in the loop's time. Raises Refused."""
        try:
            async with asyncio.timeout_at(until):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        if self._refused:
            raise self._refused
        return True


class Waiting:
    """All waits of this process."""

    def __init__(self, node: Node, letterbox: Letterbox) -> None:
        self._node = node
        self._letterbox = letterbox
        self._reading = asyncio.Semaphore(_READING_AT_ONCE)
        self._searching = Searching()
        self._leaving = False

    async def find(self, wait: Wait, *, seconds: float, limit: int) -> WaitResult:
        """Returns as soon as there is a mail that is wanted, with at most ``limit``; or after so many seconds.

        Raises Refused (also when the caller's right ends meanwhile, or the process leaves) and Unavailable.
        """
        reader = self._reader(wait)
        mails = await reader.read(limit)
        if mails or not seconds:
            return WaitResult(mails, reader.reached)
        until = asyncio.get_running_loop().time() + seconds
        waiter = _Waiter(wait)
        await self._node.admit(waiter, wait.account_id)
        try:
            # Asked after the admission: who is admitted later is not among those that the door out sends away.
            if self._leaving:
                raise Refused(LEAVING, "this process is leaving; ask again")
            while not (mails := await reader.read(limit)) and await waiter.woken(until):
                pass
        finally:
            self._node.leave(waiter)
        return WaitResult(mails, reader.reached)

    async def near_misses(self, wait: Wait, until: MessageId | None) -> tuple[CheckedMail, ...]:
        """The newest that came, up to ``until``, and were not wanted; oldest first. Raises Unavailable."""
        return await self._reader(wait).misses(until)

    def _reader(self, wait: Wait) -> _Reader:
        return _Reader(self._letterbox, self._reading, self._searching, wait)

    def leave(self) -> None:
        """From now on nobody may wait; those that do are sent away like sockets."""
        self._leaving = True

    def close(self) -> None:
        """What is looked at in threads is finished; nothing new is begun."""
        self._searching.close()


class Searching:
    """Looks at messages: small ones at once, others in threads, and of each account one at a time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_SEARCHING_AT_ONCE, "search")
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def look(self, letter: Letter, wanted: Wanted) -> CheckedMail:
        """The mail, and in what it differs."""
        if letter.size_bytes <= _THREAD_BYTES and wanted.is_cheap:
            await asyncio.sleep(0)  # a page has many, and other requests wait
            return _look(letter, wanted)
        turn = self._turns.setdefault(letter.owner, asyncio.Lock())
        async with turn:
            return await asyncio.get_running_loop().run_in_executor(self._threads, _look, letter, wanted)

    def close(self) -> None:
        """Begins nothing new."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look(letter: Letter, wanted: Wanted) -> CheckedMail:
    message = orjson.loads(letter.frame)
    differs = wanted.differs(message)
    for name in BODIES:
        message.pop(name, None)
    return CheckedMail(letter.id, orjson.dumps(message), differs)


class _Reader:
    """Stands at a place of an inbox, and goes on from there."""

    def __init__(self, letterbox: Letterbox, reading: asyncio.Semaphore, searching: Searching, wait: Wait) -> None:
        self._letterbox = letterbox
        self._reading = reading
        self._searching = searching
        self._wait = wait
        self._start = wait.start
        self.reached = wait.start.message if isinstance(wait.start, After) else None

    async def read(self, limit: int) -> tuple[CheckedMail, ...]:
        """Up to ``limit`` that are wanted, of all that is there. Raises Unavailable."""
        found: list[CheckedMail] = []
        history = self._history()
        while len(found) < limit and (seen := await self._next(history)):
            if not seen.differs:
                found.append(seen)
        return tuple(found)

    async def misses(self, until: MessageId | None) -> tuple[CheckedMail, ...]:
        """See :meth:`Waiting.near_misses`."""
        found: deque[CheckedMail] = deque(maxlen=NEAR_MISSES)
        history = self._history()
        while seen := await self._next(history):
            if until and seen.id.stream == until.stream and seen.id.seq > until.seq:
                break
            if seen.differs:
                found.append(seen)
        return tuple(found)

    def _history(self) -> OldestFirst:
        return OldestFirst(self._letterbox, {self._wait.inbox: self._start})

    async def _next(self, history: OldestFirst) -> CheckedMail | None:
        """The account's next mail; what is missing in between cannot be waited for."""
        while True:
            async with self._reading:
                item = await history.next()
            if item is None:
                return None
            if isinstance(item, Letter) and item.owner == self._wait.account_id:
                seen = await self._searching.look(item, self._wait.wanted)
                self._stand(item.id)
                return seen
            self._stand(item.id if isinstance(item, Letter) else item.reached)

    def _stand(self, reached: MessageId | None) -> None:
        if reached:
            self.reached, self._start = reached, After(reached)
