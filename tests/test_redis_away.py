"""Redis goes away: providers and REST are told 503, sockets stay, and the service comes back by itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
from websockets.asyncio.client import connect

from tests import harness
from tests.harness import ACCOUNT, ADDRESS, KEY, MAIL, Relay
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of its own, to be broken; it keeps its data."""
    with RedisServer(persistent=True) as server:
        yield server


@pytest.fixture
async def relay(server: RedisServer, tmp_path: Path) -> AsyncIterator[Relay]:
    async with harness.relay(server.url, tmp_path, redis_timeout_seconds=1.0) as running:
        yield running


async def test_killed_and_started_again(relay: Relay, server: RedisServer) -> None:
    async with relay.listen() as socket:
        server.kill()
        await relay.until_ready(ready=False)
        assert not await relay.ready()
        for answer in (await relay.post(MAIL, ADDRESS), await relay.rest("GET", "/api/addresses")):
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert "Redis" in answer.json()["error"]
        assert (await relay.internal.get("/livez")).status_code == 200
        server.restart()
        await relay.until_ready()
        assert await relay.ready()
        await relay.send("back")
        assert await socket.subject() == "back"


async def test_frozen_and_thawed(relay: Relay, server: RedisServer) -> None:
    async with relay.listen() as socket:
        server.pause()
        answer = await relay.post(MAIL, ADDRESS)
        assert answer.status_code == 503
        server.resume()
        while (await relay.post(b"Subject: thawed\r\n\r\n", ADDRESS)).status_code != 200:
            pass
        while await socket.subject() != "thawed":  # the one of the 503 may have been stored after all
            pass


async def test_a_socket_that_cannot_be_judged_is_told_to_come_back(relay: Relay, server: RedisServer) -> None:
    server.kill()
    await relay.until_ready(ready=False)
    async with connect(relay.socket_url(key=KEY, addresses=ADDRESS), proxy=None) as socket:
        assert json.loads(await socket.recv())["status"] == 503
        await socket.wait_closed()
        assert socket.close_code == 1011


async def test_a_right_that_ended_while_the_link_was_down_is_noticed(relay: Relay, server: RedisServer) -> None:
    """The notice is lost, so everybody is asked again when the link is back."""
    async with relay.listen() as socket, relay.listen("second@mailsac.com") as other:
        with redis.Redis.from_url(server.url) as client:
            client.hset(f"relay:{{{ADDRESS}}}:address", "enablews", "0")  # as if its notice had been missed
            client.client_kill_filter(_type="pubsub")
        frame = json.loads(await socket.connection.recv())
        assert frame["status"] == 403
        assert (await socket.closed())[0] == 4403
        await relay.until_ready()
        await relay.send("still here", "second@mailsac.com")
        assert await other.subject() == "still here"


async def test_a_broken_link_is_built_anew_with_all_its_subscriptions(relay: Relay, server: RedisServer) -> None:
    async with relay.listen() as one, relay.listen("second@mailsac.com") as two:
        with redis.Redis.from_url(server.url) as client:
            for number in range(3):
                client.client_kill_filter(_type="pubsub")
                await relay.until_ready(ready=False)
                await relay.until_ready()
                while client.pubsub_numsub(f"relay:inbox:{ADDRESS}", "relay:inbox:second@mailsac.com") != [
                    (f"relay:inbox:{ADDRESS}".encode(), 1),
                    (b"relay:inbox:second@mailsac.com", 1),
                ]:
                    await relay.ready()
                await relay.send(str(number))
                await relay.send(str(number), "second@mailsac.com")
                assert [await one.subject(), await two.subject()] == [str(number), str(number)]


async def test_a_start_without_redis_waits_for_it(server: RedisServer, tmp_path: Path) -> None:
    server.kill()
    async with harness.relay(server.url, tmp_path, until_ready=False, redis_timeout_seconds=1.0) as relay:
        assert (await relay.internal.get("/livez")).status_code == 200
        assert not await relay.ready()
        server.restart()
        await relay.until_ready()
        assert (await relay.rest("GET", f"/api/addresses/{ADDRESS}")).json()["owner"] == ACCOUNT


async def test_a_redis_that_comes_back_empty_gets_the_accounts_again(tmp_path: Path) -> None:
    """Before anybody is asked whether he may still listen: the sockets stay."""
    with RedisServer() as forgetful:
        async with (
            harness.relay(forgetful.url, tmp_path, redis_timeout_seconds=1.0) as relay,
            relay.listen() as socket,
        ):
            forgetful.kill()
            await relay.until_ready(ready=False)
            forgetful.restart()
            await relay.until_ready()
            await relay.send("still known")
            assert await socket.subject() == "still known"
