"""Handshakes that come at the same time go on at the same time.

What a handshake asks Redis takes 220 microseconds of our time when it asks alone, and 45 when sixteen ask together:
most of it are system calls, wake-ups and the walk through redis-py, once for a batch. Left to themselves they would ask
by ones and twos, since a busy process looks at its sockets all the time.
"""

from __future__ import annotations

import asyncio

_WAVE_SECONDS = 0.002  # the longest wait; longer ones save nothing more


class Waves:
    """``async with waves``: who is alone goes on at once, all others with the next wave."""

    def __init__(self) -> None:
        self._inside = 0
        self._next: asyncio.Event | None = None  # None = nobody waits

    async def __aenter__(self) -> None:
        if self._inside:
            if self._next is None:
                self._next = asyncio.Event()
                asyncio.get_running_loop().call_later(_WAVE_SECONDS, self._let_go)
            await self._next.wait()
        self._inside += 1

    async def __aexit__(self, *_: object) -> None:
        self._inside -= 1

    def _let_go(self) -> None:
        wave, self._next = self._next, None
        if wave:
            wave.set()
