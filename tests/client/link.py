"""A network between a listener and a relay, which a test can cut, and make deaf."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import unquote


class Link:
    """Passes on bytes to a port of this machine, both ways."""

    def __init__(self, to_port: int) -> None:
        self.url = ""
        self.requests: list[str] = []  # first line of each connection, unescaped
        self.deaf = False  # what comes is taken and goes nowhere
        self.confused = False  # answers by itself, and wrongly, once
        self._to_port = to_port
        self._writers: list[asyncio.StreamWriter] = []
        self._pumps: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Every connection that is open now."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    @property
    def since(self) -> str:
        """Of the newest connection."""
        _, _, rest = self.requests[-1].partition("&since=")
        return rest.partition(" ")[0]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        self.requests.append(unquote(line.decode()))
        if self.confused:
            self.confused = False
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: nonsense\r\n\r\n")
            writer.close()
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        there_writer.write(line)
        self._writers += [writer, there_writer]
        for one, other in ((reader, there_writer), (there_reader, writer)):
            pump = asyncio.create_task(self._pump(one, other))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if not self.deaf:
                    writer.write(data)
                    await writer.drain()
        writer.close()


@asynccontextmanager
async def link(to_port: int) -> AsyncIterator[Link]:
    """A link that is cut in the end."""
    made = Link(to_port)
    server = await asyncio.start_server(made._connected, "127.0.0.1", 0)
    made.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        made.cut()
        await server.wait_closed()
