"""The cases of RFC 6455 that concern a server which only sends: what Autobahn's suite asks of one, in our words."""

from __future__ import annotations

import struct

import pytest
from websockets.asyncio.client import connect

from tests.harness import ADDRESS, KEY, Relay
from tests.stream.test_ends import frame

pytestmark = pytest.mark.anyio


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(8, struct.pack("!H", code) + reason)


HARMLESS = {
    "empty text": frame(1),
    "text of the longest short size": frame(1, b"*" * 125),
    "text of the shortest middle size": frame(1, b"*" * 126),
    "text of the limit": frame(1, b"*" * 4096),
    "empty binary": frame(2),
    "binary that is no text": frame(2, bytes(range(256))),
    "text outside of the first plane": frame(1, "κόσμε 𐀀 \U0010ffff".encode()),
    "a character cut by fragments": frame(1, b"\xce", fin=False) + frame(0, b"\xba"),
    "empty fragments": frame(1, fin=False) + frame(0, fin=False) + frame(0),
    "a ping between fragments": frame(1, b"a", fin=False) + frame(9, b"between") + frame(0, b"b"),
    "pongs that nobody asked for": frame(10) + frame(10, b"unasked") + frame(10, b"*" * 125),
    "ten pings at once": b"".join(frame(9, bytes([number])) for number in range(10)),
    "ping of the longest size": frame(9, b"*" * 125),
    "ping of bytes that are no text": frame(9, b"\x00\xff\xfe"),
}


@pytest.mark.parametrize("case", HARMLESS)
async def test_what_is_allowed_is_ignored_and_pings_are_answered(relay: Relay, case: str) -> None:
    async with relay.listen() as socket:
        socket.connection.transport.write(HARMLESS[case])
        await (await socket.connection.ping(b"the last"))
        await relay.send("still open")
        assert await socket.subject() == "still open"


@pytest.mark.parametrize("size", [0, 1, 125])
async def test_a_pong_carries_the_bytes_of_its_ping(relay: Relay, size: int) -> None:
    async with relay.listen() as socket:
        await (await socket.connection.ping(b"\xfe" * size or None))


ENDS = {
    "normal": (close(1000), 1000),
    "normal with a reason": (close(1000, b"done"), 1000),
    "the longest reason": (close(1000, b"*" * 123), 1000),
    "nothing": (frame(8), 1005),
    **{f"allowed code {code}": (close(code), code) for code in (1001, 1003, 1007, 1011, 3000, 3999, 4000, 4999)},
    **{
        f"forbidden code {code}": (close(code), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1016, 2000, 2999, 5000)
    },
    "a reason that is no text": (close(1000, b"\xce\xba\xff"), 1007),
    "too long": (frame(8, b"\x03\xe8" + b"*" * 124), 1002),
    "text inside a fragmented message": (frame(1, b"a", fin=False) + frame(1, b"b"), 1002),
    "a reserved opcode for control": (frame(11), 1002),
    "a reserved bit on a ping": (frame(9, reserved=0x20), 1002),
    "bytes that end a character too soon": (frame(1, b"\xce\xba\xe1\xbd"), 1007),
    "a surrogate": (frame(1, b"\xed\xa0\x80"), 1007),
    "beyond Unicode": (frame(1, b"\xf4\x90\x80\x80"), 1007),
    "what follows a close does not count": (close(1000) + frame(1, b"\xff") + b"rubbish", 1000),
}


# What websockets has as a rule of its own, and so has the portable way under uvicorn.
OUR_ENDS = {
    "a close within a fragmented message": (frame(1, b"a", fin=False) + close(1000), 1000),  # Autobahn 7.1.5
    "a close behind the third fragment": (frame(2, fin=False) + frame(0, fin=False) * 2 + close(4000), 4000),
    "a short length in two bytes": (b"\x81\xfe\x00\x7d" + bytes(4 + 125), 1002),
    "a length of nothing in two bytes": (b"\x89\xfe\x00\x00" + bytes(4), 1002),
    "a short length in eight bytes": (b"\x81\xff" + struct.pack("!Q", 5) + bytes(4 + 5), 1002),
    "a middle length in eight bytes": (b"\x82\xff" + struct.pack("!Q", 4096) + bytes(4 + 4096), 1002),
    "the highest bit of a length": (b"\x82\xff" + struct.pack("!Q", 1 << 63) + bytes(4), 1002),
}


@pytest.mark.parametrize("case", OUR_ENDS)
async def test_what_we_read_more_exactly_than_websockets(relay: Relay, case: str) -> None:
    if relay.process.portable:
        pytest.skip("another server's own protocol")
    await test_a_close_is_answered_in_kind_and_a_mistake_with_its_code(relay, case)


@pytest.mark.parametrize("case", ENDS)
async def test_a_close_is_answered_in_kind_and_a_mistake_with_its_code(relay: Relay, case: str) -> None:
    said, code = (ENDS | OUR_ENDS)[case]
    async with relay.listen() as healthy:
        async with connect(relay.socket_url(key=KEY, addresses=ADDRESS), proxy=None, compression=None) as socket:
            socket.transport.write(said)
            await socket.wait_closed()
            assert (socket.protocol.close_rcvd.code if socket.protocol.close_rcvd else None) == code
        await relay.send("unharmed")
        assert await healthy.subject() == "unharmed"
