"""More large mail at once than is kept: who listens gets all of it, because letters are not read back one by one."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.bad_days.proxy import Proxy
from tests.cli.service import ADDRESS, KEY, SECRET, Service
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

_MAILS, _AT_ONCE, _KEPT = 600, 16, 150
_FAR_SECONDS = 0.006
# Does not become small enough for a doorbell: such a letter is announced, and read from the letterbox.
_BODY = random.Random(1).randbytes(15_000).hex().encode()
_HEAD = (
    f"POST /inbound/raw HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
    f"X-Envelope-To: {ADDRESS}\r\nContent-Length: %d\r\n\r\n"
).encode()
_NUMBER = re.compile(rb'{"_id":"[0-9a-f]+-[0-9]+-([0-9]+)"')
_SETTINGS = {"RELAY_KEEP_MESSAGES": str(_KEPT), "RELAY_SOCKET_BUFFER_BYTES": str(64 * 1024 * 1024)}


async def _flood(door: Service, listening: Service) -> list[int | str]:
    """The numbers of the messages that a socket of one process gets while the other takes mail in, and gaps."""
    mails = (b"Subject: %d\r\n\r\n%b" % (number, _BODY) for number in range(_MAILS))
    port = int(door.url.rpartition(":")[2])
    url = f"{listening.url.replace('http', 'ws')}/incoming-messages?addresses={ADDRESS}&key={KEY}"
    numbers: list[int | str] = []
    async with (
        connect(url, max_size=None, compression=None) as socket,
        asyncio.timeout(20),
        asyncio.TaskGroup() as posting,
    ):
        for _ in range(_AT_ONCE):
            posting.create_task(_post(port, mails))
        while _MAILS not in numbers:
            numbers.append(await _number(socket))
    return numbers


async def _number(socket: ClientConnection) -> int | str:
    frame = await socket.recv(decode=False)
    number = _NUMBER.match(frame)
    return int(number[1]) if number else frame.decode()


async def _post(port: int, mails: Iterator[bytes]) -> None:
    """By hand: a library for HTTP takes longer for a post than the service."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for mail in mails:
        writer.write(_HEAD % len(mail) + mail)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = re.search(rb"(?i)\ncontent-length: *([0-9]+)", head)
        assert length
        await reader.readexactly(int(length[1]))
    writer.close()
    await writer.wait_closed()


async def test_mail_of_the_same_process(tmp_path: Path) -> None:
    with RedisServer() as redis, Service(redis.url, tmp_path, **_SETTINGS) as service:
        assert await _flood(service, service) == list(range(1, _MAILS + 1))


async def test_mail_of_another_process_and_redis_far_away(tmp_path: Path) -> None:
    with RedisServer() as redis:
        async with Proxy(redis.port, delay_seconds=_FAR_SECONDS) as far:
            with (
                Service(redis.url, tmp_path, **_SETTINGS) as door,
                await asyncio.to_thread(Service, far.url, tmp_path, **_SETTINGS) as listening,
            ):
                assert await _flood(door, listening) == list(range(1, _MAILS + 1))
