"""One wheel for all sockets: who is pinged when, and who has not answered.

A timer per socket would cost more memory than the socket. Here a socket stands in one of as many slots as a ping
interval has seconds; each second one slot is pinged, and who was pinged ten seconds ago is asked for a sign of life.

Time in which this process did not run (a stopped process, a virtual machine that moves, a throttled container) is not
the silence of a peer: its answer waits to be read. So a turn that was missed is not made up for, and after a pause the
next one comes a second later, when what came meanwhile has been read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

ANSWER_SECONDS = 10
_TURN_SECONDS = 1.0


class Pulse(Protocol):
    """What the wheel needs of a socket. Times are ticks of the wheel, one a second, from 1 on."""

    def ping(self, now: int) -> None:
        """Sends a ping; remembers ``now`` unless it still waits since an earlier one. Never waits."""

    def check(self, then: int) -> None:
        """Ends the socket when it waits since ``then`` or longer. Never waits; does nothing after the end."""


class Wheel:
    """Turned by :meth:`run`."""

    def __init__(self, *, ping_seconds: float) -> None:
        self._slots: list[set[Pulse]] = [set() for _ in range(max(1, round(ping_seconds)))]
        self._now = 0
        self._pinged: deque[tuple[int, set[Pulse]]] = deque()

    def add(self, socket: Pulse) -> int:
        """The socket is pinged from now on, first after a whole interval. Returns what :meth:`remove` needs."""
        slot = self._now % len(self._slots)
        self._slots[slot].add(socket)
        return slot

    def remove(self, socket: Pulse, slot: int) -> None:
        """Forgets the socket."""
        self._slots[slot].discard(socket)

    async def run(self) -> None:
        """Turns the wheel every second that this process runs; never returns."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += _TURN_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))
            if loop.time() - due > _TURN_SECONDS:
                due = loop.time()  # we did not run, and have read nothing yet
            else:
                self.turn()

    def turn(self) -> None:
        """One second has passed."""
        self._now += 1
        while self._pinged and self._pinged[0][0] <= self._now - ANSWER_SECONDS:
            then, sockets = self._pinged.popleft()
            for socket in sockets:
                socket.check(then)
        pinged = self._slots[self._now % len(self._slots)].copy()
        for socket in pinged:
            socket.ping(self._now)
        self._pinged.append((self._now, pinged))
