"""Sockets that resume and read nothing: what they hold of large mail has a budget, and others get theirs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import connect

from tests.bad_days.services import Service
from tests.harness import ADDRESS, DOMAIN, KEY, OTHER_ADDRESS, OTHER_KEY, SECRET
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

_SOCKETS = 30
_TEXT_BYTES = 8_000_000
_MIB = 1024 * 1024


class Door:
    """A service, and who posts to it."""

    def __init__(self, service: Service, http: httpx2.AsyncClient) -> None:
        self.service = service
        self._http = http

    async def post(self, address: str) -> None:
        """A large mail that hardly shrinks."""
        mail = b"Subject: %b\r\n\r\n%b" % (
            address.encode(),
            random.Random(address).randbytes(_TEXT_BYTES // 2).hex().encode(),
        )
        headers = {"authorization": f"Bearer {SECRET}", "x-envelope-to": address}
        answer = await self._http.post("/inbound/raw", content=mail, headers=headers)
        assert answer.json()["accepted"], answer.text

    async def reserve(self, *addresses: str) -> None:
        answer = await self._http.post(
            "/api/private-addresses-bulk", json={"addresses": addresses}, headers={"mailsac-key": KEY}
        )
        assert answer.status_code == 200, answer.text
        for address in addresses:
            switched = await self._http.put(
                f"/api/addresses/{address}", json={"enablews": True}, headers={"mailsac-key": KEY}
            )
            assert switched.status_code == 200, switched.text

    async def metric(self, name: str) -> float:
        text = (await self._http.get("/metrics")).text
        [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(line.split()[1])

    def rss_bytes(self) -> int:
        lines = Path(f"/proc/{self.service.pid}/status").read_text().splitlines()
        [line] = [line for line in lines if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    @asynccontextmanager
    async def unread(self, address: str) -> AsyncIterator[None]:
        """A socket that asks for all that its address got, and reads nothing of it."""
        host, _, port = self.service.url.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        request = (
            f"GET /incoming-messages?addresses={address}&since=1d HTTP/1.1\r\nHost: x\r\nMailsac-Key: {KEY}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        writer.write(request.encode())
        assert b" 101 " in await reader.readline()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        yield
        writer.transport.abort()
        del reader


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    with RedisServer() as redis, await Service.start(redis.url, tmp_path) as service:
        async with httpx2.AsyncClient(base_url=service.url, timeout=60, verify=False, trust_env=False) as http:
            yield Door(service, http)


@pytest.mark.parametrize("shared", [True, False], ids=["one letter", "a letter each"])
async def test_what_they_hold_is_bounded(door: Door, *, shared: bool) -> None:
    addresses = [ADDRESS] * _SOCKETS if shared else [f"n{number}@{DOMAIN}" for number in range(_SOCKETS)]
    if not shared:
        await door.reserve(*addresses)
    for address in dict.fromkeys(addresses):
        await door.post(address)
    before = door.rss_bytes()
    async with AsyncExitStack() as stack:
        for address in addresses:
            await stack.enter_async_context(door.unread(address))
        while await door.metric("relay_sockets") < _SOCKETS or not await door.metric("relay_replay_bytes"):
            pass  # each look is a question to the service
        most, held = 0, 0.0
        for _ in range(40):
            most, held = max(most, door.rss_bytes()), max(held, await door.metric("relay_replay_bytes"))
            await asyncio.sleep(0.05)
        assert 0 < held <= 64 * _MIB
        assert most - before < 180 * _MIB  # 90; each for itself would hold 700
        await door.post(OTHER_ADDRESS)
        url = f"{door.service.url.replace('http', 'ws')}/incoming-messages?addresses={OTHER_ADDRESS}&since=1d"
        async with connect(url, additional_headers={"mailsac-key": OTHER_KEY}, max_size=None, proxy=None) as other:
            assert OTHER_ADDRESS.encode() in await other.recv(decode=False)
