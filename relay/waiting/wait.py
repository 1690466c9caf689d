"""Waiting on one inbox: read what is there after the caller's cursor, then be woken by what comes.

No mail falls between the two: the waiter listens before it reads, and what wakes it only makes it read on from where
it stands. So two requests with the cursor of the first miss nothing between them either.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from relay.errors import Close, Refused
from relay.history import After, History, Start
from relay.hub import Gap, Letter, Listener, Standing
from relay.letterbox import Letterbox
from relay.message_id import MessageId
from relay.waiting.wanted import Wanted

NEAR_MISSES = 20  # the newest; who waits for one mail wants to see what came instead, not all of it
_READING_AT_ONCE = 4  # pages of a MiB, as for sockets that resume
_THREAD_BYTES = 128 * 1024  # a larger message is read, and searched, beside the event loop


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
class Found:
    """What a wait found."""

    letters: tuple[Letter, ...]  # those that are wanted, oldest first
    reached: MessageId | None  # cursor: up to here all mail was looked at; None = there was none


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A mail that came, and was not it."""

    letter: Letter
    differs: tuple[str, ...]  # see Wanted.differs


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

    def standing(self) -> Standing | None:
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

    async def find(self, wait: Wait, *, seconds: float, limit: int) -> Found:
        """Returns as soon as there is a mail that is wanted, with at most ``limit``; or after so many seconds.

        Raises Refused (also when the caller's right ends meanwhile) and Unavailable.
        """
        reader = _Reader(self._letterbox, self._reading, wait)
        letters = await reader.read(limit)
        if letters or not seconds:
            return Found(letters, reader.reached)
        until = asyncio.get_running_loop().time() + seconds
        waiter = _Waiter(wait)
        await self._node.admit(waiter, wait.account_id)
        try:
            while not (letters := await reader.read(limit)) and await waiter.woken(until):
                pass
        finally:
            self._node.leave(waiter)
        return Found(letters, reader.reached)

    async def near_misses(self, wait: Wait, until: MessageId | None) -> tuple[NearMiss, ...]:
        """The newest that came, up to ``until``, and were not wanted; oldest first. Raises Unavailable."""
        reader = _Reader(self._letterbox, self._reading, wait)
        return await reader.misses(until)


class _Reader:
    """Stands at a place of an inbox, and goes on from there."""

    def __init__(self, letterbox: Letterbox, reading: asyncio.Semaphore, wait: Wait) -> None:
        self._letterbox = letterbox
        self._reading = reading
        self._wait = wait
        self._start = wait.start
        self.reached = wait.start.message if isinstance(wait.start, After) else None

    async def read(self, limit: int) -> tuple[Letter, ...]:
        """Up to ``limit`` that are wanted, of all that is there. Raises Unavailable."""
        found: list[Letter] = []
        history = self._history()
        while len(found) < limit and (letter := await self._next(history)):
            if not await self._differs(letter):
                found.append(letter)
        return tuple(found)

    async def misses(self, until: MessageId | None) -> tuple[NearMiss, ...]:
        """See :meth:`Waiting.near_misses`."""
        found: deque[NearMiss] = deque(maxlen=NEAR_MISSES)
        history = self._history()
        while letter := await self._next(history):
            if until and letter.id.history == until.history and letter.id.seq > until.seq:
                break
            if differs := await self._differs(letter):
                found.append(NearMiss(letter, differs))
        return tuple(found)

    def _history(self) -> History:
        return History(self._letterbox, {self._wait.inbox: self._start})

    async def _next(self, history: History) -> Letter | None:
        """The account's next letter; what is missing in between cannot be waited for."""
        while True:
            async with self._reading:
                item = await history.next()
            if item is None:
                return None
            reached = item.id if isinstance(item, Letter) else item.reached
            if reached:
                self.reached, self._start = reached, After(reached)
            if isinstance(item, Letter) and item.owner == self._wait.account_id:
                return item

    async def _differs(self, letter: Letter) -> tuple[str, ...]:
        wanted = self._wait.wanted
        if len(letter.frame) > _THREAD_BYTES:
            return await asyncio.to_thread(lambda: wanted.differs(_message(letter)))
        return wanted.differs(_message(letter))


def _message(letter: Letter) -> dict[str, Any]:
    message: dict[str, Any] = orjson.loads(letter.frame)
    return message
