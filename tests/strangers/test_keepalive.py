"""How long an idle connection waits for its next request: longer than a proxy keeps it, or that answers 502."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests import harness
from tests.strangers.client import GET

pytestmark = pytest.mark.anyio


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether a request on this connection is answered with 200."""
    writer.write(GET)
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await reader.readexactly(size)
    return head.startswith(b"HTTP/1.1 ")


async def test_an_idle_connection_is_kept_by_default(tmp_path: Path) -> None:
    async with harness.relay("memory://", tmp_path) as relay:
        assert relay.process.service.settings.keepalive_seconds == 75
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        assert await answered(reader, writer)
        await asyncio.sleep(5.5)  # uvicorn's own 5 s are what proxies met
        assert await answered(reader, writer)
        writer.close()


async def test_it_ends_in_the_time_that_is_set(tmp_path: Path) -> None:
    async with harness.relay("memory://", tmp_path, keepalive_seconds=1) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        assert await answered(reader, writer)
        assert await reader.read() == b""
        writer.close()
