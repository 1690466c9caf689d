"""Every read of a stranger ends: heads, bodies of any path, and what is no request at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests import harness
from tests.harness import ADDRESS, KEY, MAIL, Relay
from tests.inbound.wire import wire
from tests.strangers.client import GET, stranger

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory, anyio_backend: Any) -> AsyncIterator[Relay]:
    """A relay that waits for a tenth of a second, where others wait for five."""
    folder: Path = tmp_path_factory.mktemp("hasty")
    async with harness.relay("memory://", folder, request_seconds=0.1) as running:
        yield running


NEW = "/api/addresses/new@mailsac.com"


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join((f"{line} HTTP/1.1", "Host: relay.test", *headers, "", "")).encode()


def sized(path: str, *headers: str) -> bytes:
    """A post whose body is said to be long, and begins."""
    return head(f"POST {path}", "Content-Length: 60000", *headers) + b"{"


CUT = {
    "nothing": b"",
    "a byte": b"G",
    "a head without its end": GET[:-2],
    "an empty line": b"\r\n",
    "a body to no path": sized("/nowhere"),
    "a body of a page": sized("/"),
    "a body without its key": sized(NEW),
    "a body with its key": sized(NEW, f"Mailsac-Key: {KEY}"),
    "a body in chunks": head(f"POST {NEW}", f"Mailsac-Key: {KEY}", "Transfer-Encoding: chunked") + b"9\r\n{",
    "a body of a GET": head("GET /docs", "Content-Length: 60000") + b"x",
    "a body that wants another protocol": sized("/nowhere", "Connection: upgrade", "Upgrade: h2c"),
}


@pytest.mark.parametrize("case", CUT)
async def test_what_is_never_finished_ends(hasty: Relay, case: str) -> None:
    async with stranger(hasty.port, CUT[case]) as one:
        await one.ended()


@pytest.mark.parametrize("more", [b"\r", b"\r\n", b"G", b"GET / HTTP/1.1\r\n"])
async def test_what_follows_an_answered_request_ends(hasty: Relay, more: bytes) -> None:
    """The clock of idle connections is uvicorn's, and any byte used to stop it."""
    async with stranger(hasty.port, GET) as one:
        assert await one.status() == 404
        one.send(more)
        await one.ended()


@pytest.mark.parametrize("path", ["/nowhere", NEW])
async def test_a_body_that_trickles_ends(hasty: Relay, path: str) -> None:
    """Each byte used to be a sign of life."""
    async with stranger(hasty.port, head(f"POST {path}", "Transfer-Encoding: chunked")) as one:
        trickle = asyncio.create_task(_trickle(one.writer))
        await one.ended()
        trickle.cancel()


async def _trickle(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"1\r\n{\r\n")
        await asyncio.sleep(0.01)


async def test_a_body_too_slow_for_rest_is_told_so(hasty: Relay) -> None:
    async with stranger(hasty.port, sized(NEW, f"Mailsac-Key: {KEY}")) as one:
        assert await one.status() == 408


async def test_a_mail_too_slow_is_put_off_in_the_words_of_its_provider(hasty: Relay) -> None:
    async with wire(hasty) as provider:
        provider.begin("Content-Length: 60000")
        provider.writer.write(MAIL)
        assert (await provider.answer()).status == 503


async def test_who_keeps_the_least_rate_may_take_longer(hasty: Relay) -> None:
    """Three pieces of 64 KiB, each of which buys a second: ten times what a body has that stands still."""
    async with wire(hasty) as provider:
        provider.begin(f"Content-Length: {len(MAIL) + 3 * 65536}")
        provider.writer.write(MAIL)
        for _ in range(3):
            provider.writer.write(b"y" * 65536)
            await asyncio.sleep(0.3)
        assert (await provider.answer()).status == 200


async def test_a_request_that_takes_us_long_is_not_cut(hasty: Relay) -> None:
    """It waits for mail, behind a body that is whole and an empty line that belongs to nothing."""
    wait = head(f"GET /api/addresses/{ADDRESS}/wait?timeout=1", f"Mailsac-Key: {KEY}") + b"\r\n"
    async with stranger(hasty.port, wait) as one:
        assert await one.status() in (200, 204, 404, 408)


async def test_a_socket_is_not_cut(hasty: Relay) -> None:
    async with hasty.listen() as socket:
        await asyncio.sleep(0.3)
        await hasty.send("still there")
        assert await socket.subject() == "still there"


async def test_header_lines_are_counted(hasty: Relay) -> None:
    lines = [f"X-{number}: y" for number in range(199)]  # Host is the 200th
    async with stranger(hasty.port, head("GET /livez-not", *lines)) as one:
        assert await one.status() == 404
    for finished in (True, False):
        request = head("GET /livez-not", *lines, "X-One-More: y", "X-Next: y")
        async with stranger(hasty.port, request if finished else request[:-2]) as one:
            assert await one.status() == 431


BETWEEN_CHUNKS = {
    "many lines behind the last chunk": b"0\r\n" + b"X: y\r\n" * 300,
    "a long line behind the last chunk": b"0\r\nX: " + b"y" * 200_000,
    "what a chunk says of itself": b"1;" + b"y" * 200_000,
}


@pytest.mark.parametrize("case", BETWEEN_CHUNKS)
async def test_what_stands_between_chunks_has_an_end(hasty: Relay, case: str) -> None:
    chunked = head("POST /nowhere", "Transfer-Encoding: chunked")
    with capture_logs() as logs:
        async with stranger(hasty.port, chunked) as one:
            one.send(BETWEEN_CHUNKS[case])
            await one.ended()
    assert [(line["event"], line["status"]) for line in logs] == [("http.refused", 431)]


HEAVY = {
    "lines": head("GET /", *(f"X-{number}: {'y' * 1000}" for number in range(70))),
    "parameters": head(f"GET /?{'a&' * 1001}"),
    "parameters of a mail": head(f"POST /inbound/raw?{'a&' * 1001}", "Content-Length: 0"),
    "a path": head(f"GET /{'%41' * 3000}"),
    "a path of a socket": head(
        f"GET /{'%41' * 100_000}",
        "Upgrade: websocket",
        "Connection: upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ),
    "hosts that forwarded it": head("GET /", f"X-Forwarded-For: {'127.0.0.1,' * 500}"),
    "extensions": head(
        "GET /incoming-messages",
        "Upgrade: websocket",
        "Connection: upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Sec-WebSocket-Extensions: {'a;b,' * 2000}",
    ),
    "subprotocols": head(
        "GET /incoming-messages",
        "Upgrade: websocket",
        "Connection: upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Sec-WebSocket-Protocol: {'a,' * 10_000}",
    ),
}


@pytest.mark.parametrize("case", HEAVY)
async def test_a_head_that_would_take_long_to_read_is_not_read(hasty: Relay, case: str) -> None:
    async with stranger(hasty.port, HEAVY[case], address="127.0.0.1") as one:
        assert await one.status() == 431
