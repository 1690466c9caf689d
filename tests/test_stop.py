"""How a process ends: at once when nobody is connected, and with patience for a request that is under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from relay.service import serve
from tests import harness
from tests.harness import ADDRESS, MAIL, SECRET, Relay

pytestmark = pytest.mark.anyio

_TRIES = 5


@asynccontextmanager
async def half_a_post(relay: Relay) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A request that relay has begun to answer: it has asked for the body, and waits for it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(
        f"POST /inbound/raw?to={ADDRESS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
        f"Content-Length: {len(MAIL)}\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    try:
        yield reader, writer
    finally:
        writer.close()


async def until_nobody_is_let_in(relay: Relay) -> None:
    """Asks again and again: a closed listening socket is seen by connecting only."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        except ConnectionRefusedError:
            return
        writer.close()


async def test_with_nobody_connected_it_ends_at_once(tmp_path: Path) -> None:
    """The fastest of some, because the machine may be busy: a pause in the way to the end is in all of them."""
    fastest_seconds = float("inf")
    for _ in range(_TRIES):
        async with harness.relay("memory://", tmp_path) as relay:
            began = time.monotonic()
            relay.process.stop()
            await relay.running
            fastest_seconds = min(fastest_seconds, time.monotonic() - began)
    assert fastest_seconds < 0.08


async def test_a_request_under_way_is_waited_for_and_answered(tmp_path: Path) -> None:
    async with harness.relay("memory://", tmp_path) as relay, half_a_post(relay) as (reader, writer):
        relay.process.stop()
        await until_nobody_is_let_in(relay)
        assert not relay.running.done()
        writer.write(MAIL)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer
        await relay.running


async def test_a_request_that_takes_for_ever_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_POSTS_FINISH_SECONDS", 1.0)
    async with harness.relay("memory://", tmp_path) as relay, half_a_post(relay):
        began = time.monotonic()
        relay.process.stop()
        await relay.running
        assert 1.0 <= time.monotonic() - began < 9.0


async def test_who_is_told_twice_waits_for_nobody(tmp_path: Path) -> None:
    async with harness.relay("memory://", tmp_path) as relay, half_a_post(relay):
        began = time.monotonic()
        relay.process.stop_or_hurry()
        await until_nobody_is_let_in(relay)
        relay.process.stop_or_hurry()
        await relay.running
        assert time.monotonic() - began < serve._POSTS_FINISH_SECONDS / 2


async def test_the_date_of_answers_goes_on(tmp_path: Path) -> None:
    """RFC 9110 section 6.6.1. Two new seconds, because the first might be set by the start alone."""
    async with harness.relay("memory://", tmp_path) as relay:

        async def date() -> float:
            answer = await relay.http.head("/inbound/raw")
            return parsedate_to_datetime(answer.headers["date"]).timestamp()

        seen = [await date()]
        while len(seen) < 3:
            await asyncio.sleep(0.02)
            asked = time.time()
            now = await date()
            assert asked - 2 < now <= time.time()
            if now != seen[-1]:
                seen.append(now)
        assert seen[2] - seen[0] >= 2
