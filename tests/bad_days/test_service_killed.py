"""A process dies under load, another takes over: every mail that was answered 200 is received."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import harness
from tests.bad_days import unguarded
from tests.bad_days.listener import Listener
from tests.bad_days.posting import Poster
from tests.bad_days.services import Service
from tests.bad_days.tally import Tally, count
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio


async def scenario(
    server: RedisServer, folder: Path, *, kills: int = 1, mails: int = 100, pause_seconds: float = 0
) -> Tally:
    """``mails`` are accepted by each victim, and then by the survivor before the listener has found it."""
    async with (
        harness.relay(server.url, folder) as survivor,
        Poster(survivor.url, pause_seconds=pause_seconds) as poster,
        Listener(survivor.url) as listener,
    ):
        await listener.has((await poster.mark()).token)
        async with poster.steadily(lanes=8):
            for _ in range(kills):
                with await Service.start(server.url, folder) as victim:
                    await listener.drop()
                    listener.url = poster.url = victim.url
                    await listener.resume()
                    await poster.more_accepted(mails)
                    victim.kill()
                    await poster.more_refused(1)
                    poster.url = survivor.url
                    await poster.more_accepted(mails)
                listener.url = survivor.url
                await listener.ended()  # it learns that the process is gone
                await listener.resume()
        await listener.has((await poster.mark()).token)
        assert poster.statuses == {200, 0}  # no answer at all is an error as well
        return count(poster, [listener])


async def test_service_killed(server: RedisServer, tmp_path: Path) -> None:
    tally = await scenario(server, tmp_path)
    assert (tally.lost, tally.repeated, tally.gaps) == (0, 0, 0)
    assert tally.posted > tally.accepted > 200


async def test_without_replay(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the survivor; its first mails come when nobody listens to it."""
    unguarded.no_replay(monkeypatch)
    assert (await scenario(server, tmp_path)).lost >= 90
