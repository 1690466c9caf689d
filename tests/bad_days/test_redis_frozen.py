"""redis-server hangs, as when its machine swaps: posts are answered 503 in time, nothing piles up, all recovers."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from tests import harness
from tests.bad_days.listener import Listener
from tests.bad_days.posting import Poster
from tests.bad_days.tally import Tally, count
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

_AT_ONCE = 50
_OVERHEAD_SECONDS = 2.0  # of a busy machine
_STRAY = 10  # tasks and threads that come and go by themselves


async def scenario(
    server: RedisServer,
    folder: Path,
    *,
    frozen_seconds: float,
    redis_timeout_seconds: float,
    answer_seconds: float,
) -> Tally:
    """Raises TimeoutError: posts were not answered within ``answer_seconds``, and as much as a busy machine adds."""
    async with (
        harness.relay(server.url, folder, redis_timeout_seconds=redis_timeout_seconds) as relay,
        Poster(relay.url) as poster,
        Listener(relay.url) as listener,
    ):
        await poster.burst(_AT_ONCE, lanes=_AT_ONCE)
        before = _running()
        server.pause()
        try:
            thawing_seconds = time.monotonic() + frozen_seconds
            while time.monotonic() < thawing_seconds:
                async with asyncio.timeout(answer_seconds + _OVERHEAD_SECONDS):
                    await poster.burst(_AT_ONCE, lanes=_AT_ONCE)
                assert _running() < before + _STRAY
        finally:
            server.resume()
        assert {mail.status for mail in poster.mails[_AT_ONCE:]} == {503}
        end = await poster.mark()
        await relay.until_ready()
        await listener.has(end.token)
        assert _running() < before + _STRAY
        assert listener.closes == []
        return count(poster, [listener])


def _running() -> int:
    return len(asyncio.all_tasks()) + threading.active_count()


async def test_redis_frozen(server: RedisServer, tmp_path: Path) -> None:
    tally = await scenario(server, tmp_path, frozen_seconds=1, redis_timeout_seconds=0.5, answer_seconds=0.5)
    assert (tally.lost, tally.repeated, tally.gaps) == (0, 0, 0)
    assert tally.posted > tally.accepted > _AT_ONCE


async def test_without_a_time_limit(server: RedisServer, tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        await scenario(server, tmp_path, frozen_seconds=1, redis_timeout_seconds=60, answer_seconds=0.5)
