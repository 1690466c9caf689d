"""A stranger: a connection to the public port from an address that is no trusted proxy, and what it is answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

STRANGER = "127.0.0.2"  # a loopback address, as all of 127.0.0.0/8, but not the one that is trusted
GET = b"GET /livez-not HTTP/1.1\r\nHost: relay.test\r\n\r\n"


@dataclass
class Stranger:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def status(self) -> int:
        """The status of the next answer, whose body is read too; 0 when the connection ended instead."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            _, given, rest = head.partition(b"content-length: ")
            await self.reader.readexactly(int(rest.split(b"\r\n")[0]) if given else 0)
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        return int(head.split(b" ")[1])

    async def ended(self) -> None:
        """Returns when the service has ended the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    @property
    def is_open(self) -> bool:
        """As far as this side has heard."""
        return not self.reader.at_eof() and self.reader.exception() is None


async def meet(port: int, *, address: str = STRANGER) -> Stranger:
    """A new connection from a loopback address."""
    return Stranger(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)))


@asynccontextmanager
async def stranger(port: int, first: bytes = b"", *, address: str = STRANGER) -> AsyncIterator[Stranger]:
    """A connection that has sent ``first``; given up at the end."""
    one = await meet(port, address=address)
    try:
        if first:
            one.send(first)
        yield one
    finally:
        one.writer.transport.abort()
