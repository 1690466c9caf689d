"""A Redis behind Sentinels: the loss of the master costs 503 for a moment, and no socket."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from relay import store
from relay.errors import Unavailable
from tests import harness
from tests.harness import ACCOUNT, ADDRESS, MAIL, Relay
from tests.redis_kinds.servers import replica_of, subjects, until
from tests.redis_server import HOST, RedisServer, SentinelServer

pytestmark = pytest.mark.anyio


@dataclass
class Watched:
    """A master, its replica, and the Sentinel that watches both."""

    master: RedisServer
    replica: RedisServer
    sentinel: SentinelServer
    url: str  # names a Sentinel that accepts connections and never answers before the one that works


@pytest.fixture
def watched() -> Iterator[Watched]:
    with (
        RedisServer(persistent=True) as master,
        replica_of(master) as replica,
        SentinelServer("mail", master) as sentinel,
        sockets.create_server((HOST, 0)) as silent,
    ):
        with redis.Redis.from_url(replica.url) as client:
            until(client, master_link_status="up")
        with redis.Redis(host=HOST, port=sentinel.port) as client:
            while client.sentinel_masters()["mail"]["num-slaves"] != 1:
                pass
        hosts = f"{HOST}:{silent.getsockname()[1]},{HOST}:{sentinel.port}"
        yield Watched(master, replica, sentinel, f"redis+sentinel://{hosts}/mail/0")


async def until_accepted(relay: Relay, subject: str) -> list[int]:
    """Sends it again until it is accepted, as providers do; the statuses before that."""
    refused = []
    while (answer := await relay.post(f"Subject: {subject}\r\n\r\n".encode(), ADDRESS)).status_code != 200:
        refused.append(answer.status_code)
    return refused


async def test_the_loss_of_the_master(watched: Watched, tmp_path: Path) -> None:
    async with (
        harness.relay(watched.url, tmp_path, redis_timeout_seconds=2.0) as relay,
        relay.listen() as socket,
    ):
        assert (await relay.rest("POST", "/api/addresses/new@mailsac.com")).status_code == 200
        await relay.send("before")
        assert await socket.subject() == "before"
        with redis.Redis.from_url(watched.replica.url) as client:
            while client.hget("relay:{new@mailsac.com}:address", "owner") != ACCOUNT.encode():
                pass
            assert client.get("relay:history") == b"first"
        watched.master.kill()
        assert set(await until_accepted(relay, "after")) == {503}
        await relay.until_ready()
        await relay.send("ready")
        got = await subjects(socket, last="ready")
        assert list(dict.fromkeys(got)) == ["after", "ready"]  # "after" was sent until it was accepted
        answer = await relay.rest("GET", "/api/addresses/new@mailsac.com")
        assert (answer.status_code, answer.json()["owner"]) == (200, ACCOUNT)
        with redis.Redis.from_url(watched.replica.url) as client:
            assert client.get("relay:history") != b"first"


async def test_a_master_that_becomes_a_replica_is_left(watched: Watched, tmp_path: Path) -> None:
    async with (
        harness.relay(watched.url, tmp_path, redis_timeout_seconds=2.0) as relay,
        relay.listen() as socket,
    ):
        await relay.send("before")
        with redis.Redis(host=HOST, port=watched.sentinel.port) as sentinel:
            sentinel.execute_command("SENTINEL FAILOVER", "mail")
        with redis.Redis.from_url(watched.replica.url) as client:
            until(client, role="master")
        with redis.Redis.from_url(watched.master.url) as client:
            # What the Sentinel does 8 s later, but that it cuts off all clients as well.
            client.execute_command("REPLICAOF", HOST, watched.replica.port)
            until(client, role="slave", master_link_status="up")
        assert set(await until_accepted(relay, "elsewhere")) == {503}
        await relay.until_ready()
        await relay.send("ready")
        got = await subjects(socket, last="ready")
        assert list(dict.fromkeys(got)) == ["before", "elsewhere", "ready"]


async def test_no_sentinel_is_a_reason_that_names_no_host(tmp_path: Path) -> None:
    with sockets.create_server((HOST, 0)) as silent:
        url = f"redis+sentinel://:hunter2@{HOST}:{silent.getsockname()[1]}/mail?sentinel_password=hunter3"
        async with harness.relay(url, tmp_path, until_ready=False, redis_timeout_seconds=0.5) as relay:
            answer = await relay.post(MAIL, ADDRESS)
            assert answer.status_code == 503
            assert "no Sentinel knows" in answer.json()["error"]
            assert "hunter" not in answer.text
            assert HOST not in answer.text


@dataclass
class Name:
    """A TCP port that leads to one server now and to another later, as a DNS name or a proxy does."""

    server: RedisServer

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond_reader, beyond_writer = await asyncio.open_connection(HOST, self.server.port)
        await asyncio.gather(self._pass(reader, beyond_writer), self._pass(beyond_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()


async def test_connections_to_a_master_that_became_a_replica_are_not_kept(tmp_path: Path) -> None:
    """A plain URL, behind which the master changes: the old connections still work, and must not be used."""
    with RedisServer(persistent=True) as old, replica_of(old) as new:
        name = Name(old)
        async with await asyncio.start_server(name.accept, HOST, 0) as port:
            url = f"redis://{HOST}:{port.sockets[0].getsockname()[1]}/0"
            async with harness.relay(url, tmp_path, redis_timeout_seconds=1.0) as relay:
                await relay.send("before")
                with redis.Redis.from_url(new.url) as client:
                    until(client, master_link_status="up")
                    client.execute_command("REPLICAOF", "NO", "ONE")
                name.server = new
                with redis.Redis.from_url(old.url) as client:
                    client.execute_command("REPLICAOF", HOST, new.port)
                assert set(await until_accepted(relay, "after")) == {503}


async def test_a_replica_is_not_even_read() -> None:
    """What it has may be old: a right that has ended, say."""
    with RedisServer(persistent=True) as master, replica_of(master) as replica:
        with redis.Redis.from_url(master.url) as client:
            client.set("relay:history", "first")  # nothing is left to be written into it
        with redis.Redis.from_url(replica.url) as client:
            until(client, master_link_status="up")
            while client.get("relay:history") is None:
                pass
        reader = store.connect(replica.url, timeout_seconds=1.0)
        with pytest.raises(Unavailable, match="replica"):
            await reader.ask(("HGET", "relay:key", "account"))
        await reader.close()
        replica.kill()  # it does not end in order while it writes its first append-only file
