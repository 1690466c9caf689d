"""A client loses its connection, mails come, it comes back: it has them all, in order, once each."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests import harness
from tests.bad_days import unguarded
from tests.bad_days.listener import Listener
from tests.bad_days.posting import Poster
from tests.bad_days.tally import Tally, count
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio


async def scenario(server: RedisServer, folder: Path, *, mails: int, away_seconds: float = 0) -> Tally:
    """``mails`` come within ``away_seconds``, or as fast as they are answered."""
    async with (
        harness.relay(server.url, folder) as relay,
        Poster(relay.url) as poster,
        Listener(relay.url) as listener,
    ):
        await listener.has((await poster.mark()).token)
        await listener.drop()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(poster.burst(mails))
            tasks.create_task(asyncio.sleep(away_seconds))
        await listener.resume()
        await listener.has((await poster.mark()).token)
        return count(poster, [listener])


async def test_client_away(server: RedisServer, tmp_path: Path) -> None:
    assert await scenario(server, tmp_path, mails=500) == Tally(502, 502, 502, 0, 0, 0)


async def test_without_replay(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unguarded.no_replay(monkeypatch)
    assert await scenario(server, tmp_path, mails=50) == Tally(52, 52, 2, 50, 0, 0)
