"""A slow line is not a client that is gone: large mail arrives, however long it takes, and all mail behind it."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.frames import Frame, Opcode

from relay.client.listener import listen
from tests.harness import ADDRESS, KEY, Relay
from tests.raw_socket import RawSocket
from tests.slow_line import slow_line

pytestmark = pytest.mark.anyio

LINE_BYTES_PER_SECOND = 1_000_000 // 8
LARGE_BYTES = 2_000_000  # takes 16 s on that line: longer than a ping may go without an answer
SMALL = ["one", "two", "three"]
EXPECTED = ["large", *SMALL]

Reader = Callable[[str], AsyncIterator[str]]


async def by_websockets(url: str) -> AsyncIterator[str]:
    async with connect(url, proxy=None, max_size=None) as socket:
        yield ""
        async for text in socket:
            yield str(orjson.loads(text)["subject"])


async def by_our_client(url: str) -> AsyncIterator[str]:
    async with listen(url, reconnect=False, ping_seconds=5) as messages:
        yield ""
        async for message in messages:
            yield str(message["subject"])


async def by_raw_socket(url: str) -> AsyncIterator[str]:
    async with RawSocket.opened(url) as socket:
        yield ""
        async for payload in socket.messages():
            yield str(orjson.loads(payload)["subject"])


READERS: list[Reader] = [by_websockets, by_our_client, by_raw_socket]


async def subjects(reader: Reader, url: str, is_open: asyncio.Event) -> list[str]:
    found: list[str] = []
    async for subject in reader(url):
        is_open.set()
        found += [subject] if subject else []
        if len(found) == len(EXPECTED):
            break
    return found


def large_mail(size_bytes: int) -> bytes:
    """As JSON it has about this size; it cannot be compressed much."""
    return b"Subject: large\r\n\r\n" + base64.encodebytes(os.urandom(size_bytes * 3 // 8))


async def received(relay: Relay, *, large_bytes: int) -> list[list[str]]:
    """The subjects that each client got, of which half resume; a client that is cut off fails."""
    async with slow_line(relay.port, bytes_per_second=LINE_BYTES_PER_SECOND) as port, asyncio.TaskGroup() as group:
        url = relay.socket_url(key=KEY, addresses=ADDRESS).replace(f":{relay.port}/", f":{port}/")
        opened = [asyncio.Event() for _ in READERS]
        reading = [
            group.create_task(subjects(reader, url, is_open))
            for reader, is_open in zip(READERS, opened, strict=True)
        ]
        for each in opened:
            await each.wait()
        assert (await relay.post(large_mail(large_bytes), ADDRESS)).status_code == 200
        for subject in SMALL:
            await relay.send(subject)
        reading += [group.create_task(subjects(reader, f"{url}&since=1h", asyncio.Event())) for reader in READERS]
    return [task.result() for task in reading]


@pytest.mark.settings(ping_seconds=1)
async def test_large_mail_and_what_is_behind_it_arrives_live_and_resuming(relay: Relay) -> None:
    if relay.process.portable:
        pytest.skip("how another server pings is its own affair")
    assert await received(relay, large_bytes=LARGE_BYTES) == [EXPECTED] * 2 * len(READERS)


@pytest.mark.settings(ping_seconds=1)
async def test_pings_pongs_and_the_close_pass_between_the_fragments(relay: Relay) -> None:
    if relay.process.portable:
        pytest.skip("ASGI has no fragments")
    async with slow_line(relay.port, bytes_per_second=LINE_BYTES_PER_SECOND) as port:
        url = relay.socket_url(key=KEY, addresses=ADDRESS).replace(f":{relay.port}/", f":{port}/")
        async with RawSocket.opened(url) as socket:
            assert (await relay.post(large_mail(LARGE_BYTES), ADDRESS)).status_code == 200
            first = await socket.frame()
            assert (first.opcode, first.fin) == (Opcode.TEXT, False)
            socket.write(Frame(Opcode.PING, b"are you there?"))
            seen: list[Any] = []
            while (frame := await socket.frame()).opcode is not Opcode.PONG:
                seen.append(frame.opcode)
            assert bytes(frame.data) == b"are you there?"
            assert seen.count(Opcode.CONT) < 10
            await relay.rest("PUT", f"/api/addresses/{ADDRESS}", json={"enablews": False})
            while (frame := await socket.frame()).opcode is not Opcode.CLOSE:
                assert not frame.fin or frame.opcode is not Opcode.CONT
            assert bytes(frame.data[:2]) == (4403).to_bytes(2, "big")
