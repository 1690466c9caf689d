"""A proxy on loopback that is a slow line: bytes to the client pass at a rate, those of the client at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_SLICES_PER_SECOND = 10
_BUFFER_BYTES = 32 * 1024  # of the kernel, on each side; a real line holds no more


@asynccontextmanager
async def slow_line(port: int, *, bytes_per_second: int) -> AsyncIterator[int]:
    """The port of a proxy to ``port``; each connection has the whole rate for itself."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        server.setblocking(False)
        await asyncio.get_running_loop().sock_connect(server, ("127.0.0.1", port))
        from_server, to_server = await asyncio.open_connection(sock=server, limit=_BUFFER_BYTES)
        back = asyncio.create_task(_copy(reader, to_server))
        try:
            await _copy_slowly(from_server, writer, bytes_per_second // _SLICES_PER_SECOND)
        finally:
            back.cancel()
            to_server.transport.abort()
            writer.close()

    def carry_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    tasks: set[asyncio.Task[None]] = set()
    listening = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.start_server(carry_away, sock=listening, limit=_BUFFER_BYTES)
    try:
        yield listening.getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing() and (data := await reader.read(_BUFFER_BYTES)):
            writer.write(data)
            await writer.drain()


async def _copy_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slice_bytes: int) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing() and (data := await reader.read(slice_bytes)):
            writer.write(data)
            await writer.drain()
            due = max(due, loop.time() - 1) + len(data) / slice_bytes / _SLICES_PER_SECOND
            await asyncio.sleep(due - loop.time())
