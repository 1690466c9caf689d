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


READERS: dict[str, Reader] = {"websockets": by_websockets, "ours": by_our_client, "raw": by_raw_socket}


async def subjects(reader: Reader, url: str, is_open: asyncio.Event) -> list[str]:
    found: list[str] = []
    async for subject in reader(url):
        is_open.set()
        found += [subject] if subject else []
        if len(found) == 1 + len(SMALL):
            break
    return found


def large_mail() -> bytes:
    """Its text cannot be compressed much."""
    return b"Subject: large\r\n\r\n" + base64.encodebytes(os.urandom(LARGE_BYTES * 3 // 8))


async def post_all(relay: Relay) -> None:
    assert (await relay.post(large_mail(), ADDRESS)).status_code == 200
    for subject in SMALL:
        await relay.send(subject)


@pytest.mark.settings(ping_seconds=1)
async def test_large_mail_and_what_is_behind_it_arrives_live_and_resuming(relay: Relay) -> None:
    if relay.process.portable:
        pytest.skip("how another server pings is its own affair")
    async with slow_line(relay.port, bytes_per_second=LINE_BYTES_PER_SECOND) as port, asyncio.TaskGroup() as group:
        url = relay.socket_url(key=KEY, addresses=ADDRESS).replace(f":{relay.port}/", f":{port}/")
        opened = {name: asyncio.Event() for name in READERS}
        live = {name: group.create_task(subjects(READERS[name], url, opened[name])) for name in READERS}
        for each in opened.values():
            await each.wait()
        await post_all(relay)
        resuming = {
            name: group.create_task(subjects(READERS[name], f"{url}&since=1h", asyncio.Event()))
            for name in READERS
        }
    expected = {name: ["large", *SMALL] for name in READERS}
    assert {name: task.result() for name, task in live.items()} == expected
    assert {name: task.result() for name, task in resuming.items()} == expected


@pytest.mark.settings(ping_seconds=1)
async def test_pings_pongs_and_the_close_pass_between_the_fragments(relay: Relay) -> None:
    if relay.process.portable:
        pytest.skip("ASGI has no fragments")
    async with slow_line(relay.port, bytes_per_second=LINE_BYTES_PER_SECOND) as port:
        url = relay.socket_url(key=KEY, addresses=ADDRESS).replace(f":{relay.port}/", f":{port}/")
        async with RawSocket.opened(url) as socket:
            assert (await relay.post(large_mail(), ADDRESS)).status_code == 200
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
