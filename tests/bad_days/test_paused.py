"""The process does not run for a while: stopped, moved to another machine, or throttled. Nobody is cut off for that."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.bad_days.services import Service
from tests.harness import ADDRESS, KEY, MAIL, SECRET

pytestmark = pytest.mark.anyio

HEAD = (
    f"POST /inbound/raw HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nAuthorization: Bearer {SECRET}\r\n"
    f"Content-Type: message/rfc822\r\nContent-Length: {len(MAIL)}\r\n\r\n"
).encode()
PAUSED_SECONDS = 14.0  # more than a ping may go without an answer


async def test_a_pause_of_the_process_closes_no_socket_and_ends_no_request(tmp_path: Path) -> None:
    with await Service.start("memory://", tmp_path, RELAY_PING_SECONDS="1", RELAY_REQUEST_SECONDS="5") as service:
        url = service.url.replace("http", "ws") + f"/incoming-messages?key={KEY}&addresses={ADDRESS}"
        async with AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(connect(url, proxy=None)) for _ in range(20)]
            in_head = await begun(stack, service, HEAD[:40])
            in_body = await begun(stack, service, HEAD + MAIL[:20])
            os.kill(service.pid, signal.SIGSTOP)
            in_head[1].write(HEAD[40:])
            in_body[1].write(MAIL[20:40])
            # It is the length of the pause that matters, and nothing happens during it.
            await asyncio.sleep(PAUSED_SECONDS)
            os.kill(service.pid, signal.SIGCONT)
            time.sleep(0.5)  # noqa: ASYNC251  # clients answer a moment later: they are far away
            in_head[1].write(MAIL)
            in_body[1].write(MAIL[40:])
            for reader, _ in (in_head, in_body):
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            for socket in sockets:
                assert '"subject":"Hello"' in str(await socket.recv())
            assert await service.sockets() == 20
            assert await service.closed(1011) == 0


async def begun(
    stack: AsyncExitStack, service: Service, data: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which a part of a request has been sent, and read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
    stack.callback(writer.close)
    writer.write(data)
    await writer.drain()
    async with connect(service.url.replace("http", "ws") + f"/incoming-messages?key={KEY}&addresses={ADDRESS}"):
        pass  # which came later, and has been answered
    return reader, writer
