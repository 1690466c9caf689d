"""HTTP by hand, for posts that no client library would make: unfinished, endless, or given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.harness import ADDRESS, SECRET, Relay


@dataclass
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Wire:
    """An open connection to the public port."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def begin(self, *headers: str, secret: str = SECRET) -> None:
        """Sends the head of a post for the harness's address."""
        lines = (
            "POST /inbound/raw HTTP/1.1",
            "Host: relay.test",
            f"Authorization: Bearer {secret}",
            f"X-Envelope-To: {ADDRESS}",
            *headers,
        )
        self.writer.write("\r\n".join((*lines, "", "")).encode())

    def chunk(self, data: bytes) -> None:
        """RFC 9112 section 7.1; the last is empty."""
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in pairs}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(head[0].split(" ")[1]), headers, body)


@asynccontextmanager
async def wire(relay: Relay) -> AsyncIterator[Wire]:
    """A connection; given up, whatever is under way, at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()
