"""A sender posts each event three times, to two processes at once: it is delivered once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests import harness
from tests.bad_days.listener import Listener
from tests.bad_days.posting import Poster
from tests.bad_days.tally import Tally, count
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio


async def scenario(server: RedisServer, folder: Path, *, events: int, named: bool = True) -> Tally:
    """``named``: the three posts have the Webhook-Id of their event; else each its own, and nobody can know."""
    async with (
        harness.relay(server.url, folder) as one,
        harness.relay(server.url, folder) as two,
        Poster(one.url) as poster,
        Listener(one.url) as here,
        Listener(two.url) as there,
    ):
        for number in range(events):
            token = f"event {number}"
            await asyncio.gather(
                *(
                    poster.post_again(
                        token,
                        url=url,
                        headers={"webhook-id": f"msg_{number}" if named else f"msg_{number}_{attempt}"},
                    )
                    for attempt, url in enumerate((one.url, two.url, one.url))
                )
            )
        end = await poster.mark()
        for listener in (here, there):
            await listener.has(end.token)
        return count(poster, [here, there])


async def test_posted_again(server: RedisServer, tmp_path: Path) -> None:
    assert await scenario(server, tmp_path, events=30) == Tally(91, 91, 2 * 31, 0, 0, 0)


async def test_without_a_name(server: RedisServer, tmp_path: Path) -> None:
    assert await scenario(server, tmp_path, events=30, named=False) == Tally(91, 91, 2 * 31, 0, 2 * 2 * 30, 0)
