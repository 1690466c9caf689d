"""A client whose line is slow reads all the time: it gets large mail, and what comes behind it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.service import ADDRESS, KEY, SECRET, Service
from tests.redis_server import RedisServer

_TEXT = b"0123456789abcdef" * 512 * 1024  # 8 MiB; as text and in raw
_BYTES_PER_SECOND = 512 * 1024
_CHUNK = 32 * 1024


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with RedisServer() as redis, Service(redis.url, tmp_path, RELAY_PING_SECONDS="2") as running:
        yield running


def _post(service: Service, body: bytes) -> None:
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            f"POST /inbound/raw HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nX-Envelope-To: {ADDRESS}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")


def _connect(service: Service, since: str) -> socket.socket:
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    connection.connect((host, int(port)))
    connection.sendall(
        f"GET /incoming-messages?addresses={ADDRESS}{since} HTTP/1.1\r\nHost: x\r\nMailsac-Key: {KEY}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert b" 101 " in connection.recv(1024)
    return connection


def _read_slowly(connection: socket.socket, until: bytes) -> int:
    """Reads as a slow line does, and answers no ping: those stand behind the mail. The bytes until a text came."""
    seen, tail, began = 0, b"", time.monotonic()
    while until not in tail:
        chunk = connection.recv(_CHUNK)
        assert chunk, f"closed after {seen} bytes: {tail[-80:]!r}"
        seen, tail = seen + len(chunk), tail[-len(until) :] + chunk
        time.sleep(max(0.0, began + seen / _BYTES_PER_SECOND - time.monotonic()))
    return seen


@pytest.mark.parametrize("since", ["", "&since=1h"], ids=["live", "resuming"])
def test_large_mail_and_what_comes_behind_it_arrive(service: Service, since: str) -> None:
    large = b"Subject: large\r\n\r\n" + _TEXT
    if since:
        _post(service, large)
    with _connect(service, since) as connection:
        if not since:
            _post(service, large)
        _post(service, b"Subject: the small one behind\r\n\r\n")
        assert _read_slowly(connection, b'"subject":"the small one behind"') > 2 * len(_TEXT)
