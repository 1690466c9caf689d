"""The opening handshake of a WebSocket, RFC 6455 section 4.2, from a request that is parsed already.

uvicorn would write the request out again, have websockets parse it, and keep the objects of both for a conversation
that wire.py takes over at once: a third of what a handshake cost. So a :class:`Handshake` takes the request instead,
checks it, and runs the ASGI application, which may

- deny it: a denial response, or ``websocket.close``, which is 403;
- open it: ``scope["extensions"][EXTENSION](subprotocol)`` writes the 101 and gives the transport away.

That is all. There is no ``websocket.accept`` here: who wants to talk through ASGI runs under another server.
"""

from __future__ import annotations

import asyncio
import binascii
import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, NoReturn

import structlog
from starlette.types import ASGIApp, Message
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import InvalidHeaderFormat, NegotiationError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.headers import build_extension, parse_extension

log = structlog.get_logger()

EXTENSION = "relay.wire"
Headers = Sequence[tuple[bytes, bytes]]  # names in lower case

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_MAX_EARLY_BYTES = 8 * 1024  # that a client may send before it saw our 101
_MAX_OFFER_BYTES = 4 * 1024  # each extension in it is parsed, in Python; hundreds of times what is ever sent
_MAX_SUBPROTOCOLS_BYTES = 8 * 1024  # one of them may hold a key
_MAX_CACHED_OFFER_BYTES = 256  # what browsers and libraries send has less than 100
_DEFLATE = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
_FULL_WINDOW_BITS = 15
_KEPT = frozenset(
    (
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-protocol",
        b"sec-websocket-extensions",
        b"content-length",
        b"transfer-encoding",
    )
)


class BadHandshake(Exception):
    """The client's: ``status`` and ``headers`` are of the answer, whose text says what is wrong."""

    def __init__(self, text: str, status: int = 400, headers: Headers = ()) -> None:
        self.status = status
        self.headers = headers
        super().__init__(text)


class Deflate(NamedTuple):
    """permessage-deflate as agreed upon, RFC 7692; without context takeover on either side."""

    header: bytes  # Sec-WebSocket-Extensions of the answer
    full_window: bool  # the client takes one of 32 KiB, as the shared frames need it


class Opening(NamedTuple):
    """What a valid request asks for."""

    accept: bytes  # Sec-WebSocket-Accept
    subprotocols: list[str]  # in the client's order
    deflate: Deflate | None


class HandOver(NamedTuple):
    """What becomes of a handshake that was opened."""

    transport: asyncio.Transport
    connections: set[Any]  # of the server: it waits for them when it shuts down
    deflate: bool  # permessage-deflate was negotiated
    shares_deflate: bool  # and the client takes a full window, as the shared frames need it
    early: bytes  # what the client sent before it saw the 101


Open = Callable[[str | None], HandOver]


def is_asked_for(method: bytes, http_version: str, headers: Headers) -> bool:
    """Whether a request with ``Connection: upgrade`` is meant for a WebSocket; all others are plain HTTP.

    RFC 9110 section 7.8 allows to ignore an Upgrade, and in HTTP/1.0 demands it.
    """
    return (
        method == b"GET"
        and http_version == "1.1"
        and any(
            name == b"upgrade" and b"websocket" in map(bytes.strip, value.lower().split(b","))
            for name, value in headers
        )
    )


def read(headers: Headers) -> Opening:
    """Raises BadHandshake."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _KEPT:
            found.setdefault(name, []).append(value.strip())
    if found.get(b"sec-websocket-version") != [b"13"]:
        versions = ((b"Sec-WebSocket-Version", b"13"),)
        raise BadHandshake("this server speaks version 13 of WebSocket: RFC 6455", 426, versions)
    if found.get(b"content-length", [b"0"]) != [b"0"] or b"transfer-encoding" in found:
        raise BadHandshake("a WebSocket handshake has no body")
    _measure(found, b"sec-websocket-extensions", _MAX_OFFER_BYTES)
    _measure(found, b"sec-websocket-protocol", _MAX_SUBPROTOCOLS_BYTES)
    return Opening(
        _accept(found.get(b"sec-websocket-key", [])),
        _tokens(found.get(b"sec-websocket-protocol", ())),
        _deflate(found.get(b"sec-websocket-extensions", ())),
    )


def _measure(found: Mapping[bytes, Sequence[bytes]], name: bytes, limit_bytes: int) -> None:
    """Before it is parsed. Raises BadHandshake."""
    if sum(map(len, found.get(name, ()))) > limit_bytes:
        raise BadHandshake(f"the header {name.decode().title()} is over {limit_bytes} bytes", 431)


def _accept(keys: Sequence[bytes]) -> bytes:
    try:
        [key] = keys
        if len(binascii.a2b_base64(key, strict_mode=True)) == 16:
            return binascii.b2a_base64(hashlib.sha1(key + _GUID, usedforsecurity=False).digest(), newline=False)
    except ValueError:  # binascii.Error is one
        pass
    raise BadHandshake("one header Sec-WebSocket-Key is needed, with 16 bytes in base64")


def _tokens(values: Iterable[bytes]) -> list[str]:
    return [token for value in values for token in map(str.strip, value.decode("latin-1").split(",")) if token]


def _deflate(values: Sequence[bytes]) -> Deflate | None:
    if not values:
        return None
    offers = b",".join(values)
    return _cached_choice(offers) if len(offers) <= _MAX_CACHED_OFFER_BYTES else _choice(offers)


def _choice(offers: bytes) -> Deflate | None:
    """The first offer that we can meet. Raises BadHandshake: the header is not one, RFC 6455 section 9.1."""
    try:
        parsed = parse_extension(offers.decode("latin-1"))
    except InvalidHeaderFormat:
        raise BadHandshake("the header Sec-WebSocket-Extensions cannot be read") from None
    for name, asked in parsed:
        if name != _DEFLATE.name:
            continue
        try:
            agreed, extension = _DEFLATE.process_request_params(asked, [])
        except NegotiationError:
            continue
        header = build_extension([(name, agreed)]).encode()
        return Deflate(header, full_window=extension.local_max_window_bits == _FULL_WINDOW_BITS)
    return None


_cached_choice = functools.lru_cache(maxsize=64)(_choice)


def response(status: int, headers: Headers, body: bytes = b"") -> bytes:
    """An HTTP response after which the connection ends."""
    given = [pair for pair in headers if pair[0].lower() not in (b"content-length", b"connection")]
    ours = ((b"Content-Length", b"%d" % len(body)), (b"Connection", b"close"))
    lines = [b"%b: %b\r\n" % pair for pair in (*given, *ours)]
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (
        status, HTTPStatus(status).phrase.encode(), b"".join(lines), body,
    )  # fmt: skip


class Handshake(asyncio.Protocol):
    """A connection from its request on until it is denied, opened or lost."""

    __slots__ = (
        "_connections",
        "_default_headers",
        "_denial",
        "_early",
        "_gone",
        "_opening",
        "_told",
        "_transport",
    )

    def __init__(self, transport: asyncio.Transport, connections: set[Any], default_headers: Headers) -> None:
        """``connections`` are those that the server waits for; ``default_headers`` go with each denial."""
        self._transport = transport
        self._connections = connections
        self._default_headers = default_headers
        self._opening: Opening | None = None  # None = it is over
        self._early = b""
        self._told = False  # the application has got its "websocket.connect"
        self._gone = asyncio.Event()
        self._denial: tuple[int, Headers, bytes] | None = None  # as far as the application has said it
        connections.add(self)
        transport.set_protocol(self)

    def begin(self, app: ASGIApp, scope: dict[str, Any]) -> asyncio.Task[None] | None:
        """Runs the application for a valid request; the task belongs to the caller. None: it was not valid.

        ``scope`` is that of the HTTP request, with path and query; it becomes the one of the WebSocket.
        """
        try:
            self._opening = read(scope["headers"])
        except BadHandshake as bad:
            client = scope["client"][0] if scope["client"] else ""
            log.info("handshake.refused", status=bad.status, error=str(bad), client=client)
            self._answer(bad.status, bad.headers, f"{bad}\n".encode())
            return None
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        scope["subprotocols"] = self._opening.subprotocols
        scope["extensions"] = {"websocket.http.response": {}, EXTENSION: self._open}
        return asyncio.get_running_loop().create_task(self._run(app, scope), name="handshake")

    async def _run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        except WebSocketDisconnect:
            pass  # what it was told by _open
        except Exception:
            log.exception("handshake.failed")
        finally:
            if self._opening:  # it has failed, was cancelled, or has forgotten to answer
                self._answer(500)

    def _open(self, subprotocol: str | None) -> HandOver:
        """Writes the 101 and lets go of the transport. Raises WebSocketDisconnect: there is nobody any more."""
        opening, self._opening = self._opening, None
        if opening is None or self._transport.is_closing():
            raise WebSocketDisconnect(1006)
        self._connections.discard(self)
        self._gone.set()
        deflate = opening.deflate
        lines = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        lines += b"Sec-WebSocket-Accept: %b\r\n" % opening.accept
        if subprotocol:
            lines += b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode("latin-1")
        if deflate:
            lines += b"Sec-WebSocket-Extensions: %b\r\n" % deflate.header
        self._transport.write(lines + b"\r\n")
        full_window = deflate is not None and deflate.full_window
        return HandOver(self._transport, self._connections, deflate is not None, full_window, self._early)

    # ASGI

    async def _receive(self) -> Message:
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        await self._gone.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.close" and self._denial is None:
            self._answer(403)
        elif kind == "websocket.http.response.start" and self._denial is None:
            self._denial = message["status"], tuple(message.get("headers", ())), b""
        elif kind == "websocket.http.response.body" and self._denial is not None:
            status, headers, body = self._denial
            self._denial = status, headers, body + message.get("body", b"")
            if not message.get("more_body", False):
                self._answer(*self._denial)
        else:
            _raise_unexpected(kind)

    def _answer(self, status: int, headers: Headers = (), body: bytes = b"") -> None:
        """The end without a WebSocket; nothing when it has ended already."""
        self._opening = None
        self._gone.set()
        if not self._transport.is_closing():
            self._transport.write(response(status, (*self._default_headers, *headers), body))
            self._transport.close()

    # For the transport and the server

    def data_received(self, data: bytes) -> None:
        """Keeps what comes between the request and our 101: it may end within a frame."""
        if self._opening is None:
            return  # behind an answer that is on its way
        self._early += data
        if len(self._early) > _MAX_EARLY_BYTES:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, or has had its answer."""
        self._opening = None
        self._connections.discard(self)
        self._gone.set()

    def shutdown(self) -> None:
        """The server ends. The door has told all listeners before; this one came late."""
        self._answer(503, ((b"Retry-After", b"5"),))


def _raise_unexpected(kind: str) -> NoReturn:
    raise RuntimeError(f"{kind!r} is not for this server: deny the handshake, or open it through {EXTENSION!r}")
