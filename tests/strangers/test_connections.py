"""How many connections a stranger may have, and that those of others fit beside them."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import connect

from tests.harness import ADDRESS, KEY, MAIL, SECRET, Relay
from tests.strangers.client import GET, stranger
from tests.strangers.service import served

pytestmark = pytest.mark.anyio

one_store = pytest.mark.parametrize("redis_url", ["memory"], indirect=True)


@one_store
@pytest.mark.settings(max_connections_per_client=3)
async def test_an_address_has_so_many_connections_and_no_more(relay: Relay) -> None:
    async with AsyncExitStack() as stack:
        first = [await stack.enter_async_context(stranger(relay.port)) for _ in range(3)]
        async with stranger(relay.port, GET) as one_more:
            assert await one_more.status() == 429
            await one_more.ended()
        async with stranger(relay.port, GET, address="127.0.0.3") as another:
            assert await another.status() == 404
        first[0].writer.close()
        await first[0].writer.wait_closed()
        while True:  # the service may not have heard yet that one has left
            async with stranger(relay.port, GET) as again:
                if await again.status() == 404:
                    break


@one_store
@pytest.mark.settings(max_connections_per_client=2)
async def test_sockets_count_for_as_long_as_they_are_open(relay: Relay) -> None:
    async with (
        connect(relay.socket_url(key=KEY, addresses=ADDRESS), proxy=None, local_addr=("127.0.0.2", 0)) as socket,
        stranger(relay.port),
    ):
        async with stranger(relay.port, GET) as one_more:
            assert await one_more.status() == 429
        await socket.close()
        async with stranger(relay.port, GET) as one_more:
            assert await one_more.status() == 404


@one_store
@pytest.mark.settings(max_connections_per_client=2, trusted_proxies="127.0.0.1, 127.0.1.0/24")
async def test_a_trusted_proxy_brings_as_many_as_it_likes(relay: Relay) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(5):
            one = await stack.enter_async_context(stranger(relay.port, GET, address="127.0.1.9"))
            assert await one.status() == 404


# What systems start programs with, and what they allow.
FEW_FILES = ("sh", "-c", 'ulimit -S -n 64; ulimit -H -n 200; exec "$@"', "sh")


async def test_strangers_leave_files_for_redis_and_for_mail(empty_redis_url: str, tmp_path: Path) -> None:
    """More connections than files, of addresses that have not too many each."""
    with served(empty_redis_url, tmp_path, wrapper=FEW_FILES) as service:
        port = service.port
        url = f"ws://127.0.0.1:{port}/incoming-messages?key={KEY}&addresses={ADDRESS}"
        async with AsyncExitStack() as stack, connect(url, proxy=None) as socket:
            for number in range(400):
                await stack.enter_async_context(stranger(port, address=f"127.0.0.{2 + number % 8}"))
            used_up = await asyncio.to_thread(service.event, "clients.files_used_up")
            assert 100 < used_up["open_files"] < 200  # above the soft limit, and below the hard one
            assert "LimitNOFILE" in used_up["hint"]
            headers = {"authorization": f"Bearer {SECRET}", "x-envelope-to": ADDRESS, "webhook-id": "few-files"}
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as http:
                for _ in range(3):
                    assert (await http.get("/readyz")).status_code == 200
                assert (await http.post("/inbound/raw", content=MAIL, headers=headers)).status_code == 200
            received = json.loads(await socket.recv())
            assert received.get("subject") == "Hello", (received, service.err.lines)
        assert service.stop() == 0
