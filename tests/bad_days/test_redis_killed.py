"""redis-server is killed and starts again while mail is posted: what was answered 200 arrives, sockets stay."""

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


async def scenario(
    server: RedisServer, folder: Path, *, kills: int = 1, mails: int = 100, pause_seconds: float = 0
) -> Tally:
    """``mails`` are accepted before, between and after the kills. The server keeps its data (append-only file)."""
    async with (
        harness.relay(server.url, folder, redis_timeout_seconds=1.0) as relay,
        Poster(relay.url, pause_seconds=pause_seconds) as poster,
        Listener(relay.url) as listener,
    ):
        async with poster.steadily():
            for _ in range(kills):
                await poster.more_accepted(mails)
                server.kill()
                await poster.more_refused(5)
                await asyncio.to_thread(server.start)
                await poster.more_accepted(mails)
                await relay.until_ready()
        await listener.has((await poster.mark()).token)
        assert listener.closes == []
        assert poster.statuses == {200, 503}
        return count(poster, [listener])


async def test_redis_killed(server: RedisServer, tmp_path: Path) -> None:
    tally = await scenario(server, tmp_path)
    assert (tally.lost, tally.repeated, tally.gaps) == (0, 0, 0)
    assert tally.posted > tally.accepted > 200


async def test_without_catching_up(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unguarded.no_catch_up(monkeypatch, missed=10)
    unguarded.no_holes(monkeypatch)
    assert (await scenario(server, tmp_path)).lost >= 10


async def test_a_hole_is_found_although_nothing_was_caught_up(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two guards stand behind each other."""
    unguarded.no_catch_up(monkeypatch, missed=10)
    assert (await scenario(server, tmp_path)).lost == 0


async def test_a_redis_that_kept_nothing(tmp_path: Path) -> None:
    """What it lost cannot be had again, but it is said."""
    with RedisServer() as forgetful:
        tally = await scenario(forgetful, tmp_path)
    assert (tally.lost, tally.repeated, tally.gaps) == (0, 0, 1)
