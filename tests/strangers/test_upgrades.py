"""An Upgrade to what is not spoken here is ignored, RFC 9110 section 7.8: the request is served, body and all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests import harness, tools
from tests.harness import ADDRESS, KEY, MAIL, SECRET, Relay
from tests.nginx import nginx

pytestmark = pytest.mark.anyio

UPGRADES = {
    "h2c": (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA",
    ),
    "TLS": ("Upgrade: TLS/1.0", "Connection: Upgrade"),
    "several": ("Connection: keep-alive, upgrade", "Upgrade: h2c, foo/2"),
    "websocket, posted": ("Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
}


@pytest.fixture(params=["memory", "portable"])
async def relay(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: Any) -> Any:
    async with harness.relay("memory://", tmp_path, portable=request.param == "portable") as running:
        yield running


def post(*headers: str, framing: str = f"Content-Length: {len(MAIL)}") -> bytes:
    fixed = ("Host: relay.test", f"Authorization: Bearer {SECRET}", "Content-Type: message/rfc822")
    return "\r\n".join(("POST /inbound/raw HTTP/1.1", *headers, *fixed, framing, "", "")).encode()


async def exchange(port: int, *pieces: bytes, answers: int) -> list[tuple[bytes, Any]]:
    """Status line and JSON of each answer; each piece is read before the next is written."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)  # so that pieces are read one by one; without it the test is only weaker
        for _ in range(answers):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            found.append((head.partition(b"\r\n")[0], orjson.loads(await reader.readexactly(size))))
        return found
    finally:
        writer.close()


@pytest.mark.parametrize("name", UPGRADES)
@pytest.mark.parametrize("cut", ["whole", "head and body", "bytes of the body", "in the head"])
async def test_the_body_is_served(relay: Relay, name: str, cut: str) -> None:
    if name.startswith("websocket") and relay.process.portable:
        pytest.skip("uvicorn's own protocol takes it")
    head = post(*UPGRADES[name])
    pieces = {
        "whole": [head + MAIL],
        "head and body": [head, MAIL],
        "bytes of the body": [head + MAIL[:5], MAIL[5:9], MAIL[9:]],
        "in the head": [head[:50], head[50:] + MAIL[:1], MAIL[1:]],
    }[cut]
    async with relay.listen() as socket:
        [(status, answer)] = await exchange(relay.port, *pieces, answers=1)
        assert (status, len(answer["accepted"])) == (b"http/1.1 200 ok", 1)
        assert (await socket.message())["text"] == "Hello, world.\n"


async def test_a_body_in_chunks_and_the_requests_behind_it(relay: Relay) -> None:
    chunked = post(*UPGRADES["h2c"], framing="Transfer-Encoding: chunked")
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(MAIL), MAIL)
    asked = f"GET /api/addresses HTTP/1.1\r\nHost: relay.test\r\nMailsac-Key: {KEY}\r\n".encode()
    again = asked + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answers = await exchange(relay.port, chunked + body + again + post() + MAIL, answers=3)
    assert [status for status, _ in answers] == [b"http/1.1 200 ok"] * 3
    assert [len(answer) for _, answer in answers][1] == 3  # the addresses of the account


async def test_a_body_that_is_a_request_is_a_body(relay: Relay) -> None:
    inner = post() + MAIL
    head = post(*UPGRADES["h2c"], framing=f"Content-Length: {len(inner)}")
    answers = await exchange(relay.port, head, inner, post() + MAIL, answers=2)
    # It is no mail, and was not run as a request: that would have been answered first.
    assert [status for status, _ in answers] == [b"http/1.1 400 bad request", b"http/1.1 200 ok"]


JAVA = """
import java.net.URI;
import java.net.http.*;
import java.nio.file.*;

class Post {
    public static void main(String[] arguments) throws Exception {
        var client = HttpClient.newHttpClient();
        var request = HttpRequest.newBuilder(URI.create(arguments[0]))
            .header("Authorization", "Bearer " + arguments[1]).header("Content-Type", "message/rfc822")
            .POST(HttpRequest.BodyPublishers.ofFile(Path.of(arguments[2]))).build();
        for (int turn = 0; turn < 3; turn++)
            System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
    }
}
"""


async def by_java(url: str, folder: Path) -> list[Any]:
    """Java's HttpClient in its default setting, three times on one connection."""
    (folder / "mail").write_bytes(MAIL)
    (folder / "Post.java").write_text(JAVA)
    return await printed(tools.JAVA.need(), str(folder / "Post.java"), url, SECRET, str(folder / "mail"))


async def by_curl(url: str, folder: Path) -> list[Any]:
    (folder / "mail").write_bytes(MAIL)
    headers = ["-H", f"Authorization: Bearer {SECRET}", "-H", "Content-Type: message/rfc822"]
    return await printed(
        tools.CURL.need(), "-sS", "--http2", "--data-binary", f"@{folder / 'mail'}", *headers, url
    )


async def printed(*command: str) -> list[Any]:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    lines, _ = await process.communicate()
    assert process.returncode == 0
    return [orjson.loads(line) for line in lines.splitlines()]


PROGRAMS = {"curl": by_curl, "java": by_java}


@asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    yield None


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("way", ["directly", "through nginx"])
async def test_programs_that_ask_for_http2(relay: Relay, tmp_path: Path, program: str, way: str) -> None:
    async with relay.listen() as socket, nginx(relay.port, tmp_path) if way != "directly" else nothing() as below:
        url = f"{below.plain_url if below else relay.url}/inbound/raw"
        answers = await PROGRAMS[program](url, tmp_path)
        assert [len(answer.get("accepted", ())) for answer in answers] == [1] * len(answers)
        assert (await socket.message())["text"] == "Hello, world.\n"


BAD_HOSTS = {
    "none": (),
    "two": ("Host: relay.test", "Host: relay.test"),
    "two that differ": ("Host: relay.test", "Host: other.test"),
    "a blank in it": ("Host: relay test",),
    "a path in it": ("Host: relay.test/path",),
    "a user in it": ("Host: user@relay.test",),
}


@pytest.mark.parametrize("case", BAD_HOSTS)
@pytest.mark.parametrize("path", ["/", "/livez", f"/incoming-messages?key={KEY}&addresses={ADDRESS}"])
async def test_a_request_names_its_host_once(relay: Relay, case: str, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write("\r\n".join((f"GET {path} HTTP/1.1", *BAD_HOSTS[case], "", "")).encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    writer.close()


@pytest.mark.parametrize("host", ["", "relay.test", "relay.test:80", "[::1]:80", "127.0.0.1", "xn--e1afmkfd.test"])
async def test_hosts_that_are_allowed(relay: Relay, host: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(f"GET /docs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_http_1_0_needs_no_host(relay: Relay) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(b"GET /docs HTTP/1.0\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()
