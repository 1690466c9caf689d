"""A listener stops reading while mail comes: it is dropped with 4408 in bounded memory, comes back, and has it all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bad_days.listener import Listener
from tests.bad_days.posting import Poster
from tests.bad_days.services import Service
from tests.bad_days.tally import Tally, count
from tests.redis_server import RedisServer

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc"),
]

# What a process may hold for one listener that does not read: its limit (1 MiB), what allocators and a busy moment
# add, and nothing that grows with the mail.
_MOST_BYTES = 10 * 1024 * 1024


class Unbounded(AssertionError):
    """Memory grew with the mail that a listener did not read."""


async def scenario(
    server: RedisServer,
    folder: Path,
    *,
    mails: int,
    mail_bytes: int,
    keep_messages: int = 1000,
    socket_buffer_bytes: int = 1024 * 1024,
) -> Tally:
    """Raises Unbounded. Kernel buffers take some 10 MB; the mails must be a multiple of that."""
    limits = {
        "RELAY_KEEP_MESSAGES": str(keep_messages),
        "RELAY_REPLAY_LIMIT": str(2 * keep_messages),  # what is kept, and what comes meanwhile, in one go
        "RELAY_SOCKET_BUFFER_BYTES": str(socket_buffer_bytes),
    }
    with await Service.start(server.url, folder, **limits) as service:
        async with (
            Poster(service.url, body=b"x" * mail_bytes) as poster,
            Listener(service.url) as reader,
            Listener(service.url, deflate=False) as stalled,
        ):
            await poster.burst(100)  # so that what is needed once is there
            await stalled.has((await poster.mark()).token)
            before_bytes = service.resident_bytes()
            stalled.stall()
            await poster.burst(mails)
            # What the reader has was handed to the other in the same moment.
            await reader.has((await poster.mark()).token)
            grown_bytes = service.resident_bytes() - before_bytes
            if grown_bytes > _MOST_BYTES:
                raise Unbounded(f"{grown_bytes} bytes for {mails} mails of {mail_bytes}")
            assert await service.closed(4408) == 1
            stalled.read_on()
            await stalled.ended()
            # Mail that comes during a replay may trim what the replay has just announced: a second gap would be true.
            last = await poster.mark() if keep_messages < mails else None
            await stalled.resume()
            await stalled.has((last or await poster.mark()).token)
            assert {gap.reason for gap in stalled.gaps} <= {"trimmed"}
            assert reader.closes == []
            return count(poster, [reader, stalled])


async def test_reader_stalled(server: RedisServer, tmp_path: Path) -> None:
    tally = await scenario(server, tmp_path, mails=500, mail_bytes=30_000, keep_messages=2000)
    assert tally == Tally(603, 603, 2 * 603, 0, 0, 0)


async def test_what_is_not_kept_is_told(server: RedisServer, tmp_path: Path) -> None:
    tally = await scenario(server, tmp_path, mails=500, mail_bytes=30_000, keep_messages=50)
    assert (tally.accepted, tally.lost, tally.repeated, tally.gaps) == (603, 0, 0, 1)


async def test_without_a_limit(server: RedisServer, tmp_path: Path) -> None:
    with pytest.raises(Unbounded):
        await scenario(server, tmp_path, mails=500, mail_bytes=30_000, socket_buffer_bytes=2**30)
