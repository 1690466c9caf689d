"""How long to wait before the next connection: short at first, longer each time, and never all at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import SystemRandom

from relay.client.errors import Lost

_FIRST_SECONDS = 1.0
_RESTART_SECONDS = 5.0  # a restart sends thousands back at the same moment
_SHORTEST_SECONDS = 0.5  # from the second time on
_LONGEST_SECONDS = 30.0
_LONGEST_ASKED_SECONDS = 300.0  # of Retry-After
_RANDOM = SystemRandom()
PROVEN_SECONDS = 10.0  # a connection that lasted so long, or brought a message, was a good one


class Backoff:
    """Of one listener. Exponential with full jitter: a random part of a limit that doubles with each failure, up to
    30 s.

    The first wait after a good connection is up to 1 s, or up to 5 s when the server restarts. A server that names a
    time (``Retry-After``) gets it, and the random part on top of it.
    """

    def __init__(
        self,
        *,
        random: Callable[[], float] = _RANDOM.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """``random`` returns 0.0 to 1.0; ``sleep`` takes seconds."""
        self._random = random
        self._sleep = sleep
        self._failures = 0

    def proven(self) -> None:
        """The connection is a good one: the next wait is a first one again."""
        self._failures = 0

    def next_seconds(self, lost: Lost) -> float:
        """The wait after one more failure."""
        first = _RESTART_SECONDS if lost.restarts else _FIRST_SECONDS
        least = _SHORTEST_SECONDS if self._failures else 0.0
        most = min(first * (1 << self._failures), _LONGEST_SECONDS)
        self._failures = min(self._failures + 1, 10)
        return min(lost.asked_seconds, _LONGEST_ASKED_SECONDS) + least + (most - least) * self._random()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await self._sleep(seconds)
