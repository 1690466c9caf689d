"""A WebSocket client by hand: it shows each frame as it came, fragments included."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from websockets.frames import Frame, Opcode


class RawSocket:
    """An open one. It answers pings while frames are asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str) -> AsyncIterator[RawSocket]:
        """``ws://`` alone, without compression."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            "".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.partition(b"\r\n")[0], head
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    def write(self, frame: Frame) -> None:
        """Masked, as a client must."""
        data = bytes(frame.data)
        assert len(data) < 126
        mask = os.urandom(4)
        body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        self._writer.write(bytes([0x80 | frame.opcode, 0x80 | len(data)]) + mask + body)

    async def frame(self, *, answers: bool = True) -> Frame:
        """The next, control frames and fragments included. Raises IncompleteReadError at the end."""
        first, size = await self._reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
        frame = Frame(Opcode(first & 0x0F), await self._reader.readexactly(size), bool(first & 0x80))
        if frame.opcode is Opcode.PING and answers:
            self.write(Frame(Opcode.PONG, frame.data))
        return frame

    async def messages(self) -> AsyncIterator[bytes]:
        """Whole ones, until the server closes."""
        message = bytearray()
        while (frame := await self.frame()).opcode is not Opcode.CLOSE:
            if frame.opcode in (Opcode.TEXT, Opcode.CONT):
                message += frame.data
                if frame.fin:
                    yield bytes(message)
                    message.clear()
