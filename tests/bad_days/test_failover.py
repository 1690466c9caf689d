"""Sentinels promote a replica that lagged: mail that it never got is lost, and everybody who missed it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from relay.delivery import node
from tests import harness
from tests.bad_days import unguarded
from tests.bad_days.listener import Listener
from tests.bad_days.posting import Poster
from tests.bad_days.proxy import Proxy
from tests.bad_days.tally import Tally, count
from tests.redis_kinds.servers import until
from tests.redis_server import HOST, RedisServer, SentinelServer

pytestmark = pytest.mark.anyio

_SERVICE = "mail"
_REPLICAS = 2
_SENTINELS = 3
# The failover-timeout. For so long Sentinels do not lead the replicas to their master directly, past the proxy; and
# twice as long they wait before they vote again, when none of them got a majority.
_LEFT_ALONE_MS, _SOON_MS = 60_000, 1_000


@dataclass(frozen=True)
class Watched:
    """A master, and replicas that get its writes through a proxy; three Sentinels watch them."""

    master: RedisServer
    url: str  # names the Sentinels
    proxy: Proxy
    sentinels: Sequence[SentinelServer]

    def lag(self) -> None:
        """From now on the replicas get nothing; before, they have got everything."""
        with redis.Redis.from_url(self.master.url) as client:
            assert client.wait(_REPLICAS, 5000) == _REPLICAS
        assert self.proxy.stall() == _REPLICAS

    def kill_master(self) -> None:
        """Ends it as a crash does."""
        self.master.kill()
        for sentinel in self.sentinels:
            _set(sentinel, "failover-timeout", _SOON_MS)


@asynccontextmanager
async def _watched(master: RedisServer) -> AsyncIterator[Watched]:
    async with Proxy(master.port) as proxy:
        running = ExitStack()
        try:
            # In a thread: the proxy, in this one, is needed meanwhile.
            sentinels = await asyncio.to_thread(running.enter_context, _replicas_and_sentinels(master, proxy.port))
            hosts = ",".join(f"{HOST}:{one.port}" for one in sentinels)
            yield Watched(master, f"redis+sentinel://{hosts}/{_SERVICE}", proxy, sentinels)
        finally:
            await asyncio.to_thread(running.close)


@contextmanager
def _replicas_and_sentinels(master: RedisServer, proxy_port: int) -> Iterator[Sequence[SentinelServer]]:
    with ExitStack() as running:
        for _ in range(_REPLICAS):
            options = ("--replicaof", HOST, str(proxy_port))
            replica = running.enter_context(RedisServer(persistent=True, options=options))
            with redis.Redis.from_url(replica.url) as client:
                until(client, master_link_status="up")
        sentinels = [running.enter_context(SentinelServer(_SERVICE, master)) for _ in range(_SENTINELS)]
        for sentinel in sentinels:
            _set(sentinel, "failover-timeout", _LEFT_ALONE_MS)
            _set(sentinel, "quorum", 2)
        for sentinel in sentinels:
            _until_all_are_known(sentinel)
        yield sentinels


def _set(sentinel: SentinelServer, option: str, value: int) -> None:
    with redis.Redis(host=HOST, port=sentinel.port) as client:
        client.sentinel_set(_SERVICE, option, value)


def _until_all_are_known(sentinel: SentinelServer) -> None:
    known = (0, 0)
    with redis.Redis(host=HOST, port=sentinel.port) as client:
        while known != (_REPLICAS, _SENTINELS - 1):
            state = client.sentinel_masters()[_SERVICE]
            known = state["num-slaves"], state["num-other-sentinels"]


async def scenario(server: RedisServer, folder: Path, *, mails: int, pause_seconds: float = 0.01) -> Tally:
    """``mails`` come before the replicas lag, while they do, and after the failover. ``server`` is the first master.

    One listener is there all the time, the other away while the replicas lag.
    """
    async with (
        _watched(server) as watched,
        harness.relay(watched.url, folder, redis_timeout_seconds=2.0) as relay,
        Poster(relay.url, pause_seconds=pause_seconds) as poster,
        Listener(relay.url) as connected,
        Listener(relay.url) as away,
    ):
        await poster.burst(mails)
        await away.has((await poster.mark()).token)
        await asyncio.to_thread(watched.lag)
        await away.drop()
        await poster.burst(mails)
        await connected.has((await poster.mark()).token)
        await asyncio.to_thread(watched.kill_master)
        await poster.mark()
        await relay.until_ready()
        await poster.burst(2 * mails)  # the new count goes beyond the old one
        await away.resume()
        end = await poster.mark()
        await connected.has(end.token)
        await away.has(end.token)
        assert connected.closes == []
        return count(poster, [connected, away])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is tried again sooner, for the test's time limit."""
    monkeypatch.setattr(node, "_LONGEST_PAUSE_SECONDS", 0.5)


async def test_failover(server: RedisServer, tmp_path: Path) -> None:
    tally = await scenario(server, tmp_path, mails=50)
    assert (tally.lost, tally.repeated, tally.gaps) == (0, 0, 2)
    assert tally.received < 2 * tally.accepted


async def test_without_a_mark(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was away misses what the replicas did not get, and the new count hides it."""
    unguarded.no_mark(monkeypatch)
    assert (await scenario(server, tmp_path, mails=50)).lost == 51
