"""Activity and Redis: two processes on one, one that is away, what is kept for how long, a cluster."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from relay.activity import backlog
from relay.store import keys
from tests import harness
from tests.activity.events import events, of_all, until
from tests.harness import ACCOUNT, ADDRESS, DOMAIN, MAIL, OTHER_KEY
from tests.redis_kinds.servers import cluster
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

PATH = "/api/activity"


async def test_two_processes_tell_one_story(empty_redis_url: str, tmp_path: Path) -> None:
    one, two = (harness.relay(empty_redis_url, tmp_path) for _ in range(2))
    async with one as here, two as there:
        waiting = asyncio.create_task(there.rest("GET", PATH, params={"wait": "60"}))
        await here.send("nobody hears")
        assert (await waiting).json()["events"]  # it woke a request at the other
        async with there.listen() as socket:
            await here.send("heard there")
            await socket.message()
        for relay in (here, there):
            seen = await until(relay, "socket-closed", "unheard", "received", "delivered")
            assert [event["kind"] for event in seen].count("unheard") == 1
            assert [event["sockets"] for event in seen if event["kind"] == "delivered"] == [1]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(persistent=True) as server:
        yield server


async def test_redis_away(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens meanwhile is told afterwards, as much of it as there was room for."""
    monkeypatch.setattr(backlog, "MAX_ENTRIES", 5)
    async with harness.relay(server.url, tmp_path, redis_timeout_seconds=1.0) as relay:
        await relay.send("before")
        await until(relay, "unheard")
        server.kill()
        await relay.until_ready(ready=False)
        for _ in range(8):
            await relay.http.post("/inbound/raw", content=MAIL)
        assert (await relay.post(MAIL, ADDRESS)).status_code == 503
        server.restart()
        await relay.until_ready()
        await relay.send("after")
        seen = await of_all(relay, "unheard", "unheard", "gap")
        [gap] = [event for event in seen if event["kind"] == "gap"]
        refused = [event for event in seen if event["kind"] == "refused"]
        assert gap["missing"] >= 4
        assert gap["text"].startswith(f"{gap['missing']} events could not be kept, because Redis was away or slow")
        assert len(refused) >= 1
        metrics = (await relay.internal.get("/metrics")).text
        dropped = re.search(r"^relay_activity_dropped_total (\d+)\.0$", metrics, re.MULTILINE)
        assert dropped is not None
        assert int(dropped[1]) >= gap["missing"]


async def test_mail_flows_although_its_activity_cannot_be_kept(server: RedisServer, tmp_path: Path) -> None:
    async with harness.relay(server.url, tmp_path) as relay, relay.listen() as socket:
        await until(relay, "socket-opened")
        with redis.Redis.from_url(server.url) as client:
            client.set(keys.ACTIVITY, "not a stream")
            for subject in ("1", "2", "3"):
                await relay.send(subject)
                assert await socket.subject() == subject
            client.set(keys.activity(ACCOUNT), "nor is this")
            assert (await relay.rest("GET", PATH)).status_code == 500
            client.delete(keys.ACTIVITY, keys.activity(ACCOUNT))
        await relay.send("4")
        await until(relay, "received")


async def test_what_is_kept_is_capped_in_number_and_age(empty_redis_url: str, tmp_path: Path) -> None:
    with redis.Redis.from_url(empty_redis_url) as client:
        client.xadd(keys.activity(ACCOUNT), {"a": ACCOUNT, "e": '{"kind":"old","time":1}'}, id="1-0")
        client.xadd(keys.activity(ACCOUNT), {"nonsense": "x"})
        for nonsense in ("", "[]", "{", '{"kind":"x","time":"now"}', '{"kind":"x","time":1e300}', '{"time":1}'):
            client.xadd(keys.activity(ACCOUNT), {"e": nonsense})
        client.xadd(keys.activity(ACCOUNT), {"a": ACCOUNT, "e": '{"kind":"of a newer version","time":1}'})
        async with harness.relay(empty_redis_url, tmp_path, keep_seconds=3600) as relay:
            await relay.send("first")
            await until(relay, "unheard")
            assert (await events(relay))[-1]["text"] == "of a newer version."
            assert client.xlen(keys.activity(ACCOUNT)) == 9
            many = [f"a{number}@{DOMAIN}" for number in range(1000)]
            assert len((await relay.post(MAIL, *many)).json()["accepted"]) == 1000
            while len(await events(relay, limit="1000")) < 1000:
                pass
            assert client.xlen(keys.activity(ACCOUNT)) == 1000
            for stream in (keys.activity(ACCOUNT), keys.ACTIVITY):
                assert 3500 < client.ttl(stream) <= 3600


async def test_on_a_cluster_who_hears_is_not_known(tmp_path: Path) -> None:
    with cluster() as three:
        async with harness.relay(three.url, tmp_path) as relay:
            await relay.send("somewhere")
            async with relay.listen() as socket:
                await relay.send("heard")
                await socket.message()
            await relay.post(MAIL, "user2+tag@mailsac.com", ADDRESS)
            seen = await until(relay, "received", "received", "received", "delivered")
            assert "unheard" not in {event["kind"] for event in seen}
            [near] = await until(relay, "near-miss", key=OTHER_KEY)
            assert near["near"] == "user2@mailsac.com"
            assert {event.get("account") for event in await of_all(relay)} == {"user1", "user2", None}
