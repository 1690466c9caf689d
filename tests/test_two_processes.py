"""Several processes on one real Redis are one service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import redis

from relay.store.keys import inbox_tag
from tests import harness
from tests.harness import ACCOUNT, ADDRESS, DOMAIN, KEY, Relay
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pair(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Relay, Relay]]:
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    async with harness.relay(redis_server.url, tmp_path) as one, harness.relay(redis_server.url, tmp_path) as two:
        yield one, two


async def test_mail_posted_to_one_arrives_on_a_socket_of_the_other(pair: tuple[Relay, Relay]) -> None:
    one, two = pair
    async with one.listen() as here, two.listen() as there:
        message_id = await one.send("across")
        assert (await here.message())["_id"] == (await there.message())["_id"] == message_id
        await two.send("and back")
        assert [await here.subject(), await there.subject()] == ["and back", "and back"]


async def test_200_listeners_on_50_addresses_each_get_exactly_theirs(pair: tuple[Relay, Relay]) -> None:
    addresses = [f"a{number}@{DOMAIN}" for number in range(50)]
    await pair[0].rest("POST", "/api/private-addresses-bulk", json={"addresses": addresses})
    for address in addresses:
        await pair[0].rest("PUT", f"/api/addresses/{address}", json={"enablews": True})
    async with AsyncExitStack() as open_sockets:
        sockets = [
            (address, await open_sockets.enter_async_context(pair[number % 2].listen(address)))
            for number in range(4)
            for address in addresses
        ]
        for round_number in range(3):
            await asyncio.gather(
                *(
                    pair[(round_number + number) % 2].send(f"{round_number} {address}", address)
                    for number, address in enumerate(addresses)
                )
            )
        await asyncio.gather(*(pair[0].send("end", address) for address in addresses))
        for address, socket in sockets:
            got = [await socket.subject() for _ in range(4)]
            assert got == [*(f"{number} {address}" for number in range(3)), "end"]


async def test_a_right_that_ends_at_one_ends_the_socket_at_the_other(pair: tuple[Relay, Relay]) -> None:
    one, two = pair
    async with two.listen() as address, two.listen("second@mailsac.com", key=f"second-{KEY}") as key:
        await one.rest("PUT", f"/api/addresses/{ADDRESS}", json={"enablews": False})
        assert json.loads(await address.connection.recv())["status"] == 403
        assert (await address.closed())[0] == 4403
        await one.process.service.accounts.keys.revoke(ACCOUNT, f"second-{KEY}")
        assert json.loads(await key.connection.recv())["status"] == 401
        assert (await key.closed())[0] == 4401


async def test_a_node_follows_only_what_somebody_in_it_listens_to(
    pair: tuple[Relay, Relay], redis_server: RedisServer
) -> None:
    channel = f"relay:inbox:{ADDRESS}"
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.pubsub_numsub(channel) == [(channel.encode(), 0)]
        async with pair[0].listen() as first:
            assert client.pubsub_numsub(channel) == [(channel.encode(), 1)]
            async with pair[0].listen(), pair[1].listen():
                assert client.pubsub_numsub(channel) == [(channel.encode(), 2)]
            await first.connection.close()
            while client.pubsub_numsub(channel) != [(channel.encode(), 0)]:
                await pair[0].ready()


async def test_a_burst_from_redis_does_not_make_a_reading_socket_look_slow(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """The blocking client holds up the loop that the service shares, so that all arrives in one go."""
    running = harness.relay(redis_server.url, tmp_path, socket_buffer_bytes=128 * 1024)
    async with running as relay, relay.listen() as socket:
        with redis.Redis.from_url(redis_server.url) as client, client.pipeline() as burst:
            for number in range(1000):
                message_id = f"{inbox_tag(ADDRESS)}00000a-1-{number + 1}"
                shape = {"_id": message_id, "subject": str(number), "raw": "x" * 2000}
                frame = json.dumps(shape, separators=(",", ":"))  # as version 0.2 rings
                burst.publish(f"relay:inbox:{ADDRESS}", f"{ACCOUNT}\n{ADDRESS}\n{message_id}\n{frame}")
            burst.execute()
        assert [await socket.subject() for _ in range(1000)] == [str(number) for number in range(1000)]
