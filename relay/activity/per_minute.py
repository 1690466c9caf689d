"""So many a minute of each kind: what strangers can bring about by the thousand shall not push out all else."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

_SECONDS = 60.0
_MAX_KEYS = 10_000


class PerMinute:
    """Counts by key, in windows of a minute, in this process."""

    def __init__(self, limit: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._start = clock()
        self._counts: dict[Hashable, int] = {}

    def left(self, key: Hashable) -> int:
        """Counts one; how many may come of this key, this one included. 0 = not even this."""
        now = self._clock()
        if now - self._start >= _SECONDS:
            self._start = now
            self._counts.clear()
        count = self._counts.get(key, 0)
        if count >= self._limit or (not count and len(self._counts) >= _MAX_KEYS):
            return 0
        self._counts[key] = count + 1
        return self._limit - count
