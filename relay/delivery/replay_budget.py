"""The bytes that replays have handed to sockets which have not taken them yet, of an account and of the process.

A letter counts once for all sockets that are being sent it, because they share it. Who finds no room waits: the sockets
before it take what they were given, or are cut off as slow. One letter alone always goes, however large it is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from relay.delivery.letter import Letter
from relay.message_id import MessageId

ACCOUNT_BYTES = 64 * 1024 * 1024
PROCESS_BYTES = 256 * 1024 * 1024
REPLAYS_PER_ACCOUNT = 16  # at once: what each reads ahead is not in these bytes
_LOOK_SECONDS = 1.0  # between looks whether who waits is still there

_Name = tuple[str, MessageId]


class Listener(Protocol):
    """Whoever is replayed to."""

    account: str

    async def room(self) -> bool:
        """Waits until little is waiting to be sent; False when the socket has ended."""


class _Sum:
    """Of letters that are out, each counted once."""

    __slots__ = ("limit_bytes", "out", "size_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self.out: Counter[_Name] = Counter()

    def fits(self, name: _Name, size_bytes: int) -> bool:
        return name in self.out or not self.size_bytes or self.size_bytes + size_bytes <= self.limit_bytes

    def add(self, name: _Name, size_bytes: int) -> None:
        if name not in self.out:
            self.size_bytes += size_bytes
        self.out[name] += 1

    def remove(self, name: _Name, size_bytes: int) -> None:
        self.out[name] -= 1
        if not self.out[name]:
            del self.out[name]
            self.size_bytes -= size_bytes


class ReplayBudget:
    """Of one process."""

    def __init__(
        self,
        *,
        account_bytes: int = ACCOUNT_BYTES,
        process_bytes: int = PROCESS_BYTES,
        replays_per_account: int = REPLAYS_PER_ACCOUNT,
    ) -> None:
        self._account_bytes = account_bytes
        self._replays_per_account = replays_per_account
        self._process = _Sum(process_bytes)
        self._accounts: dict[str, _Sum] = {}
        self._replays: Counter[str] = Counter()
        self._reading: dict[str, asyncio.Lock] = {}
        self._shared: dict[_Name, Letter] = {}
        self._held: dict[Listener, list[_Name]] = {}
        self._changed = asyncio.Event()

    @property
    def size_bytes(self) -> int:
        """Handed to sockets of this process, and not taken."""
        return self._process.size_bytes

    @asynccontextmanager
    async def reading(self, account: str) -> AsyncIterator[None]:
        """Held from before a letter is read until it has its room: what waits for room is one letter an account."""
        lock = self._reading.setdefault(account, asyncio.Lock())
        async with lock:
            yield

    @asynccontextmanager
    async def turn(self, listener: Listener) -> AsyncIterator[bool]:
        """Waits until few other replays of the account are under way; False: the socket has ended meanwhile."""
        account = listener.account
        here = await self._until(listener, lambda: self._replays[account] < self._replays_per_account)
        self._replays[account] += 1
        try:
            yield here
        finally:
            self.taken(listener)
            self._replays[account] -= 1
            self._replays = +self._replays
            if account not in self._replays:
                self._reading.pop(account, None)
            self._tell()

    async def hold(self, listener: Listener, letter: Letter) -> Letter | None:
        """Waits for room, and counts the letter until :meth:`taken`. The answer is the letter to send: another object
        when the same is on its way to others; None: the socket has ended."""
        name, account = (letter.inbox, letter.id), listener.account

        def fits() -> bool:
            of_account = self._accounts.get(account)
            alone = of_account is None or of_account.fits(name, letter.held_bytes)
            return alone and self._process.fits(name, letter.held_bytes)

        if not fits() and not await self._until(listener, fits):
            return None
        self._process.add(name, letter.held_bytes)
        self._accounts.setdefault(account, _Sum(self._account_bytes)).add(name, letter.held_bytes)
        self._held.setdefault(listener, []).append(name)
        return self._shared.setdefault(name, letter)

    def taken(self, listener: Listener) -> None:
        """The socket has taken what it was given, or has ended."""
        names = self._held.pop(listener, None)
        if not names:
            return
        of_account = self._accounts[listener.account]
        for name in names:
            size_bytes = self._shared[name].held_bytes
            of_account.remove(name, size_bytes)
            self._process.remove(name, size_bytes)
            if name not in self._process.out:
                del self._shared[name]
        if not of_account.out:
            del self._accounts[listener.account]
        self._tell()

    async def _until(self, listener: Listener, fits: Callable[[], bool]) -> bool:
        while not fits():
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                pass
            if not await listener.room():
                return False
            self.taken(listener)  # who waits may hold what others wait for
        return True

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
