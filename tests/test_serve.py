"""A process towards those who misuse its connections."""

from __future__ import annotations

import asyncio
import contextlib
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
