"""Redis' clock, by which letters are dated and ages are counted; and how far ours is from it."""

from __future__ import annotations

import structlog

from relay import clock
from relay.delivery.letterbox import Letterbox
from relay.metrics import Metrics

log = structlog.get_logger()

_DIFFERENCE_SECONDS = 2.0  # more is logged


class RedisClock:
    """One for a process."""

    def __init__(self, letterbox: Letterbox, metrics: Metrics) -> None:
        self._letterbox = letterbox
        self._metrics = metrics
        self._differs = False

    async def now_ms(self) -> int:
        """Redis' time, Unix ms. Tells of a difference when it begins to matter. Raises Unavailable."""
        asked_ms = clock.now_ms()
        redis_ms = await self._letterbox.now_ms()
        seconds = (redis_ms - (asked_ms + clock.now_ms()) / 2) / 1000
        self._metrics.clock_difference.set(seconds)
        differs = abs(seconds) > _DIFFERENCE_SECONDS
        if differs and not self._differs:
            log.warning("clock.differs", redis_ahead_seconds=round(seconds, 1), hint="set both by NTP")
        self._differs = differs
        return redis_ms
