"""Handshakes that come at the same time go on at the same time.

What a handshake asks Redis takes 220 microseconds of our time when it asks alone, and 45 when sixteen ask together:
most of it are system calls, wake-ups and the walk through redis-py, once for a batch. Left to themselves they would ask
by ones and twos, since a busy process looks at its sockets all the time.
"""

from __future__ import annotations

import asyncio

_WAVE_SECONDS = 0.005  # the longest wait; 2 ms leave half as many together


class HandshakeBatcher:
    """Holds back who comes soon after another, until the next wave."""

    def __init__(self) -> None:
        self._wave: asyncio.Event | None = None  # the next; None = nobody has come of late
        self._waiting = 0

    async def turn(self) -> None:
        """Returns at once to who comes alone, to all others in five milliseconds at most, together."""
        if self._wave is None:
            self._plan()
        else:
            self._waiting += 1
            await self._wave.wait()

    def _plan(self) -> None:
        self._wave, self._waiting = asyncio.Event(), 0
        asyncio.get_running_loop().call_later(_WAVE_SECONDS, self._let_go, self._wave)

    def _let_go(self, wave: asyncio.Event) -> None:
        if self._waiting:
            self._plan()
        else:
            self._wave = None
        wave.set()
