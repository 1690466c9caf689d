"""How a socket ends: rights that end, clients that misbehave, readers that do not read, a process that leaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket as sockets
import struct
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from relay.errors import CLOSES
from tests.harness import ACCOUNT, ADDRESS, DOMAIN, KEY, Relay, Socket

pytestmark = pytest.mark.anyio


async def told_and_closed(socket: Socket, code: int) -> str:
    frame = json.loads(await socket.connection.recv())
    assert frame["status"] == CLOSES[code].status
    assert await socket.closed() == (code, CLOSES[code].reason)
    return str(frame["error"])


async def test_switching_forwarding_off_ends_what_listens(relay: Relay) -> None:
    async with relay.listen(ADDRESS) as socket, relay.listen("second@mailsac.com") as other:
        await relay.rest("PUT", f"/api/addresses/{ADDRESS}", json={"enablews": False})
        assert ADDRESS in await told_and_closed(socket, 4403)
        await relay.send("still here", "second@mailsac.com")
        assert await other.subject() == "still here"


async def test_releasing_an_address_ends_what_listens(relay: Relay) -> None:
    async with relay.listen(ADDRESS) as socket:
        await relay.rest("DELETE", f"/api/addresses/{ADDRESS}")
        assert ADDRESS in await told_and_closed(socket, 4403)


async def test_revoking_a_key_ends_what_it_opened_and_nothing_else(relay: Relay) -> None:
    async with relay.listen(key=KEY) as revoked, relay.listen(key=f"second-{KEY}") as staying:
        await relay.process.service.accounts.keys.revoke(ACCOUNT, KEY)
        await told_and_closed(revoked, 4401)
        await relay.send("still here")
        assert await staying.subject() == "still here"


async def test_removing_a_domain_ends_what_listens_to_it(relay: Relay) -> None:
    async with relay.listen(DOMAIN) as socket:
        await relay.rest("DELETE", f"/api/domains/{DOMAIN}")
        assert DOMAIN in await told_and_closed(socket, 4403)


async def test_mail_after_a_release_is_nobodys(relay: Relay) -> None:
    async with relay.listen(f"{ADDRESS},second@mailsac.com") as socket:
        await relay.rest("DELETE", f"/api/addresses/{ADDRESS}")
        answer = await relay.post(b"Subject: x\r\n\r\n", ADDRESS)
        assert answer.json()["rejected"] == [{"inbox": ADDRESS, "reason": "not reserved"}]
        await told_and_closed(socket, 4403)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """A client's frame by hand, RFC 6455 section 5.2."""
    first = (0x80 if fin else 0) | reserved | opcode
    length = len(payload)
    size = bytes([length]) if length < 126 else b"\x7e" + struct.pack("!H", length)
    if not masked:
        return bytes([first]) + size + payload
    mask = os.urandom(4)
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([first, size[0] | 0x80]) + size[1:] + mask + body


RUBBISH = {
    "oversize text": (frame(1, b"x" * 5000), 1009),
    "oversize in fragments": (frame(1, b"x" * 3000, fin=False) + frame(0, b"x" * 3000), 1009),
    "64-bit length": (b"\x81\xff" + struct.pack("!Q", 1 << 62) + b"mask", 1009),
    "bad UTF-8": (frame(1, b"\xff\xfe"), 1007),
    "bad UTF-8 over fragments": (frame(1, b"\xf0\x9f", fin=False) + frame(0, b"\x98"), 1007),
    "unmasked": (frame(1, b"hello", masked=False), 1002),
    "reserved bit": (frame(1, b"hello", reserved=0x40), 1002),
    "unknown opcode": (frame(3, b"hello"), 1002),
    "continuation of nothing": (frame(0, b"hello"), 1002),
    "fragmented ping": (frame(9, b"hello", fin=False), 1002),
    "long ping": (frame(9, b"x" * 126), 1002),
    "close code that may not be sent": (frame(8, struct.pack("!H", 1005)), 1002),
    "close of one byte": (frame(8, b"x"), 1002),
    "no frame at all": (b"GET / HTTP/1.1\r\n\r\n" * 20, 1002),
}


@pytest.mark.parametrize("case", RUBBISH)
async def test_rubbish_is_closed_with_its_code_and_the_process_goes_on(relay: Relay, case: str) -> None:
    data, code = RUBBISH[case]
    async with relay.listen() as healthy, relay.listen() as rude:
        rude.connection.transport.write(data)
        assert (await rude.closed())[0] == code
        await relay.send("unharmed")
        assert await healthy.subject() == "unharmed"


async def test_what_a_client_says_is_ignored(relay: Relay) -> None:
    async with relay.listen() as socket:
        for said in ("hello", b"\x00\xff", "", "x" * 4096, ["in ", "three ", "fragments"]):
            await socket.connection.send(said)
        await socket.connection.ping("are you there")
        await relay.send("here")
        assert await socket.subject() == "here"


async def test_a_client_that_closes_gets_its_close_back(relay: Relay) -> None:
    async with relay.listen() as socket:
        await socket.connection.close(1000, "done")
        assert await socket.closed() == (1000, "done")


@pytest.mark.settings(socket_buffer_bytes=64 * 1024)
async def test_a_reader_that_does_not_read_is_dropped_and_others_are_unharmed(relay: Relay) -> None:
    mail = b"Subject: much\r\n\r\n" + b"x" * 60_000
    narrow = sockets.socket()
    narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 64 * 1024)
    narrow.connect(("127.0.0.1", relay.port))
    url = relay.socket_url(key=KEY, addresses=ADDRESS)
    options: dict[str, Any] = {"proxy": None, "max_queue": 1, "compression": None}
    async with relay.listen() as healthy, connect(url, sock=narrow, **options) as stalled:
        while b'code="4408"' not in (await relay.internal.get("/metrics")).content:
            await relay.post(mail, ADDRESS)
            assert await healthy.subject() == "much"
        assert await drained(stalled) == 4408


async def drained(connection: ClientConnection) -> int:
    """The close code behind all that was still on its way."""
    try:
        while True:
            await connection.recv()
    except ConnectionClosed:
        return connection.close_code or 0


async def test_a_leaving_process_says_1012_and_ends(relay: Relay) -> None:
    async with relay.listen() as first, relay.listen() as second:
        relay.process.stop()
        for socket in (first, second):
            await told_and_closed(socket, 1012)


@pytest.mark.settings(drain_seconds=3600)
async def test_a_leaving_process_is_not_ready_but_still_takes_mail(relay: Relay) -> None:
    async with relay.listen() as socket:
        leaving = asyncio.create_task(relay.process.service.leave())
        await told_and_closed(socket, 1012)
        assert (await relay.internal.get("/readyz")).status_code == 503
        assert (await relay.internal.get("/livez")).status_code == 200
        assert (await relay.post(b"Subject: late\r\n\r\n", ADDRESS)).status_code == 200
        await leaving


@pytest.mark.settings(ping_seconds=1)
async def test_a_peer_that_answers_no_ping_is_gone(relay: Relay) -> None:
    """A client by hand, because a real one answers by itself. Takes the ten seconds that an answer has."""
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    path = relay.socket_url(key=KEY, addresses=ADDRESS).partition("/incoming")[2]
    writer.write(
        f"GET /incoming{path} HTTP/1.1\r\nHost: relay.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    async with contextlib.aclosing(frames_from(reader)) as frames:
        opcodes = [opcode async for opcode, _ in frames]
    assert opcodes[0] == 9
    assert opcodes[-1] == 8  # a close frame, and then the end
    writer.close()
    await writer.wait_closed()


async def frames_from(reader: asyncio.StreamReader) -> AsyncGenerator[tuple[int, bytes]]:
    """Opcode and payload of small frames, until the connection ends."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            first, size = await reader.readexactly(2)
            yield first & 0x0F, await reader.readexactly(size)
