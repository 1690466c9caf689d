"""A process towards those who misuse its connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from tests import harness

pytestmark = pytest.mark.anyio

HALF_REQUESTS = [b"", b"POST", b"GET /incoming-messages?key=x HTTP/1.1\r\nHost: x\r\nX-Slow: "]


async def test_who_opens_a_connection_and_says_no_more_is_gone_after_ten_seconds(tmp_path: Path) -> None:
    async with harness.relay("memory://", tmp_path) as relay:

        async def ends(said: bytes) -> bool:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write(said)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
            return True

        assert all(await asyncio.gather(*map(ends, HALF_REQUESTS)))
        await relay.send("unharmed")


async def test_who_goes_on_with_half_a_request_is_gone_too(tmp_path: Path) -> None:
    async with harness.relay("memory://", tmp_path) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        for _ in range(2):  # whole ones do no harm
            writer.write(b"HEAD /inbound/raw HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.write(b"POST /inbound/raw HTTP/1.1\r\n")
        assert await reader.read() == b""
        writer.close()


async def test_an_answer_comes_in_one_piece(tmp_path: Path) -> None:
    """Head and body by one system call; HEAD has the head alone, and more answers follow on the connection."""

    def ask_again_and_again(port: int) -> None:
        # In a thread of its own: this loop would read only when the server has written all of its pieces.
        with socket.create_connection(("127.0.0.1", port)) as sock:
            for _ in range(300):
                sock.sendall(b"HEAD /inbound/raw HTTP/1.1\r\nHost: x\r\n\r\n")
                assert sock.recv(65_536).endswith(b"\r\n\r\n")
                sock.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
                head, _, body = sock.recv(65_536).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 404")
                assert body.startswith(b"there is no such path")

    async with harness.relay("memory://", tmp_path) as relay:
        await asyncio.to_thread(ask_again_and_again, relay.port)
