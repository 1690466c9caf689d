"""The long variant of tests/stream/test_slow_lines.py, with the settings as they are by default: over 80 seconds."""

from __future__ import annotations

from pathlib import Path

from tests import harness
from tests.bad_days.tally import Tally
from tests.redis_server import RedisServer
from tests.stream import test_slow_lines


async def scenario(server: RedisServer, folder: Path, *, large_bytes: int) -> Tally:
    """Six clients, three of them resuming, get a large mail and three small ones behind it over 1 Mbit/s."""
    async with harness.relay(server.url, folder) as relay:
        received = await test_slow_lines.received(relay, large_bytes=large_bytes)
    expected = test_slow_lines.EXPECTED
    lost = sum(subject not in found for found in received for subject in expected)
    repeated = sum(len(found) - len(set(found)) for found in received)
    return Tally(len(expected), len(expected), sum(len(set(found)) for found in received), lost, repeated, 0)
