"""RELAY_WORK_BYTES: however much mail comes at once, the process stays within its memory, and says "later"."""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress
from pathlib import Path

import pytest

from relay import settings
from relay.errors import ConfigError
from tests.bad_days.services import Service
from tests.harness import ADDRESS, SECRET
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

_MAIL = b"Subject: large\r\n\r\n" + b"hello you all, how are you today?\r\n" * 714_000
_AT_ONCE = 16
_MEMORY_BYTES = 768 * 1024 * 1024  # as a pod has by default


async def _posted(port: int, body: bytes, number: int) -> bytes:
    """The status line, which may come before the body has gone."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /inbound/raw HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nX-Envelope-To: {ADDRESS}\r\n"
        f"Webhook-Id: {number}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with suppress(ConnectionError):
        writer.write(head.encode())
        writer.write(body)
        await writer.drain()
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    return answer


async def test_many_large_mails_at_once_in_a_process_with_little_memory(tmp_path: Path) -> None:
    with (
        RedisServer() as redis,
        await Service.start(redis.url, tmp_path, RELAY_REDIS_TIMEOUT_SECONDS="30") as service,
    ):
        resource.prlimit(service.pid, resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
        port = int(service.url.rpartition(":")[2])
        answers = await asyncio.gather(*(_posted(port, _MAIL, number) for number in range(_AT_ONCE)))
        put_off = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503 ")]
        taken = [answer for answer in answers if answer.startswith(b"HTTP/1.1 200 ")]
        assert len(put_off) + len(taken) == _AT_ONCE, {answer.partition(b"\r")[0] for answer in answers}
        assert taken
        assert put_off
        assert all(b"\r\nretry-after: 5\r\n" in answer.lower() for answer in put_off)
        assert (await _posted(port, b"Subject: small\r\n\r\n", _AT_ONCE)).startswith(b"HTTP/1.1 200 ")


def test_the_largest_mail_must_fit() -> None:
    with pytest.raises(ConfigError, match=r"RELAY_WORK_BYTES: must be 800000000 or more"):
        settings.load({}, max_message_bytes=100_000_000)
    settings.load({}, max_message_bytes=100_000_000, work_bytes=800_000_000)
