"""What Redis may have lost is seen (relay:history), and what must not be lost is confirmed by replicas (WAIT)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis

from tests import harness
from tests.harness import ADDRESS, KEY, MAIL, Relay
from tests.redis_kinds.servers import replica_of, until
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio


def term(server: RedisServer) -> bytes | None:
    with redis.Redis.from_url(server.url) as client:
        value: bytes | None = client.get("relay:history")
        return value


async def back(relay: Relay, server: RedisServer) -> None:
    """Crashes Redis, starts it again and waits for the first mail."""
    server.kill()
    await relay.until_ready(ready=False)
    server.restart()
    await relay.until_ready()
    await relay.send("back")


async def test_a_crash_with_an_append_only_file_is_no_new_term(tmp_path: Path) -> None:
    with RedisServer(persistent=True) as server:
        async with harness.relay(server.url, tmp_path, redis_timeout_seconds=1.0) as relay:
            await relay.send("first")
            before = term(server)
            await back(relay, server)
            assert term(server) == before


async def test_a_crash_without_one_is_a_new_term(tmp_path: Path) -> None:
    with RedisServer(options=("--save", "1000", "1")) as server:
        async with harness.relay(server.url, tmp_path, redis_timeout_seconds=1.0) as relay:
            await relay.send("first")
            before = term(server)
            with redis.Redis.from_url(server.url) as client:
                client.save()
            await back(relay, server)
            assert before not in (None, b"first")
            assert term(server) not in (None, before)


async def test_a_promoted_replica_is_a_new_term_that_its_restart_keeps(tmp_path: Path) -> None:
    with RedisServer(persistent=True) as master, replica_of(master) as replica:
        with redis.Redis.from_url(replica.url) as client:
            until(client, master_link_status="up")
            async with harness.relay(master.url, tmp_path) as relay:
                await relay.send("first")
            assert term(master) == b"first"
            client.execute_command("REPLICAOF", "NO", "ONE")
        async with (
            harness.relay(replica.url, tmp_path, redis_timeout_seconds=1.0) as one,
            harness.relay(replica.url, tmp_path, redis_timeout_seconds=1.0) as two,
        ):
            await one.send("here")
            promoted = term(replica)
            await two.send("there")
            assert term(replica) == promoted
            assert promoted not in (None, b"first")
    with RedisServer(persistent=True) as server, redis.Redis.from_url(server.url) as client:
        client.set("relay:history", promoted)
        async with harness.relay(server.url, tmp_path) as relay:
            await relay.send("kept")
            assert term(server) == promoted


async def test_a_mail_counts_when_the_replicas_have_it(tmp_path: Path) -> None:
    with RedisServer(persistent=True) as master, replica_of(master) as replica:
        with redis.Redis.from_url(replica.url) as client:
            until(client, master_link_status="up")
        running = harness.relay(master.url, tmp_path, redis_wait_replicas=1, redis_timeout_seconds=2.0)
        async with running as relay:
            while (await relay.post(MAIL, ADDRESS)).status_code != 200:
                pass  # a new replica confirms for the first time within a second
            replica.kill()
            refused, admitted = await asyncio.gather(
                relay.post(MAIL, ADDRESS), relay.rest("GET", "/api/addresses")
            )
            assert refused.status_code == 503
            assert "1 replicas of Redis have not confirmed" in refused.json()["error"]
            assert admitted.status_code == 200  # what writes nothing does not need them
            async with relay.listen(key=f"second-{KEY}"):
                pass
            replica.start()
            while (await relay.post(MAIL, ADDRESS)).status_code != 200:
                pass
