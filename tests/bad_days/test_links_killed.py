"""The pub/sub link is cut again and again under load: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis

from tests import harness
from tests.bad_days import unguarded
from tests.bad_days.listener import Listener
from tests.bad_days.posting import Poster
from tests.bad_days.tally import Tally, count
from tests.harness import DOMAIN
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

INBOX = f"one@{DOMAIN}"  # two doorbells ring for it: its own, and its domain's


async def scenario(
    server: RedisServer, folder: Path, *, cuts: int, every_seconds: float = 0, pause_seconds: float = 0
) -> Tally:
    """One listener follows the inbox, the other its domain. ``every_seconds`` = 0: a link is cut when it is ready."""
    async with (
        harness.relay(server.url, folder) as relay,
        Poster(relay.url, INBOX, pause_seconds=pause_seconds) as poster,
    ):
        await relay.rest("POST", f"/api/addresses/{INBOX}")
        await relay.rest("PUT", f"/api/addresses/{INBOX}", json={"enablews": True})
        async with Listener(relay.url, INBOX) as listener, Listener(relay.url, DOMAIN) as of_domain:
            with redis.Redis.from_url(server.url) as client:
                async with poster.steadily():
                    for _ in range(cuts):
                        await poster.more_accepted(20)
                        assert client.client_kill_filter(_type="pubsub") == 1
                        async with asyncio.TaskGroup() as tasks:
                            tasks.create_task(relay.until_ready(ready=False))
                            tasks.create_task(asyncio.sleep(every_seconds))
                        await relay.until_ready()
            end = await poster.mark()
            await listener.has(end.token)
            await of_domain.has(end.token)
            assert listener.closes == of_domain.closes == []
            return count(poster, [listener, of_domain])


async def test_links_killed(server: RedisServer, tmp_path: Path) -> None:
    tally = await scenario(server, tmp_path, cuts=5)
    assert (tally.lost, tally.repeated, tally.gaps) == (0, 0, 0)
    assert tally.received == 2 * tally.accepted > 200


async def test_without_catching_up(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unguarded.no_catch_up(monkeypatch, missed=10)
    unguarded.no_holes(monkeypatch)
    assert (await scenario(server, tmp_path, cuts=2)).lost >= 2 * 2 * 10


async def test_without_knowing_repeats(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unguarded.no_repeats(monkeypatch)
    assert (await scenario(server, tmp_path, cuts=1)).repeated >= 2 * 20
