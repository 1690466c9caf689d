"""FLUSHALL under a connected client, and while another is away: both are told of a gap, and get what is new."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from tests import harness
from tests.bad_days import unguarded
from tests.bad_days.listener import Listener
from tests.bad_days.posting import Poster
from tests.bad_days.tally import Tally, count
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio


async def scenario(server: RedisServer, folder: Path, *, mails: int, times: int = 1) -> Tally:
    """``mails`` come before and after. Those before the second listener misses, and nobody can give it them."""
    async with (
        harness.relay(server.url, folder) as relay,
        Poster(relay.url) as poster,
        Listener(relay.url) as connected,
        Listener(relay.url) as away,
    ):
        for _ in range(times):
            end = await poster.mark()
            await away.has(end.token)
            await away.drop()
            await poster.burst(mails)
            await connected.has((await poster.mark()).token)
            with redis.Redis.from_url(server.url) as client:
                client.flushall()
            await poster.burst(mails)
            end = await poster.mark()
            await connected.has(end.token)
            await away.resume()
            await away.has(end.token)
        assert {gap.reason for one in (connected, away) for gap in one.gaps} <= {"epoch"}
        assert connected.closes == []
        return count(poster, [connected, away])


async def test_redis_emptied(server: RedisServer, tmp_path: Path) -> None:
    tally = await scenario(server, tmp_path, mails=50)
    assert tally == Tally(103, 103, 103 + 52, 0, 0, 2)


async def test_without_telling_gaps(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unguarded.no_gaps(monkeypatch)
    tally = await scenario(server, tmp_path, mails=50)
    assert tally == Tally(103, 103, 103 + 52, 51, 0, 0)
