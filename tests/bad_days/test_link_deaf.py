"""The pub/sub link is half-open: it stands, nothing comes over it, and only the probe can notice."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from relay.delivery import node
from tests import harness
from tests.bad_days.listener import Listener
from tests.bad_days.posting import Poster
from tests.bad_days.proxy import Proxy
from tests.bad_days.tally import Tally, count
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio


async def scenario(
    server: RedisServer,
    folder: Path,
    *,
    probe_seconds: float,
    found_within_seconds: float = 60,
    mails: int = 50,
) -> Tally:
    """What has not come ``found_within_seconds`` after the link fell silent counts as lost."""
    async with (
        Proxy(server.port) as proxy,
        harness.relay(proxy.url, folder, probe_seconds=probe_seconds) as relay,
        Poster(relay.url) as poster,
        Listener(relay.url) as listener,
    ):
        await listener.has((await poster.mark()).token)
        assert proxy.stall_pubsub() == 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(found_within_seconds):
                await poster.burst(mails)
                assert len(listener.frames) == 1
                await listener.has(poster.mails[-1].token)
                await listener.has((await poster.mark()).token)
        assert listener.closes == []
        return count(poster, [listener])


async def test_link_deaf(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_ECHO_SECONDS", 1.0)
    assert await scenario(server, tmp_path, probe_seconds=1) == Tally(52, 52, 52, 0, 0, 0)


async def test_without_a_probe(server: RedisServer, tmp_path: Path) -> None:
    """Within the time in which the probe above has found it."""
    tally = await scenario(server, tmp_path, probe_seconds=300, found_within_seconds=3)
    assert tally == Tally(51, 51, 1, 50, 0, 0)
