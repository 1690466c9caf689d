"""One connection while it speaks HTTP: uvicorn's protocol with the limits that it lacks, and the way to a WebSocket."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import Any, cast
from urllib.parse import unquote

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from relay.stream import handshake
from relay.stream.handshake import Handshake

log = structlog.get_logger()

_HEAD_SECONDS = 10.0  # for a request line and all headers; who opens a connection and says nothing is gone by then
# Request line and headers. 128 addresses and 1,000 ids take 70 KB; who sends ten times that is still told so over the
# WebSocket, which a browser can read.
_MAX_HEAD_BYTES = 512 * 1024
_MAX_URL_BYTES = 65_535  # httptools' limit, for what is not a WebSocket


class _HeadTooLarge(Exception):
    pass


_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # as uvicorn writes it


class _Answer:
    """What a response with a body is written to: its head waits for the first of its body, so that both are one
    system call; uvicorn makes two, and each costs as much as half of the request."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None  # b"" when it has been written

    def write(self, data: bytes) -> None:
        if self._head is None and data != _CONTINUE:
            self._head = data
            return
        if self._head:
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def close(self) -> None:
        if self._head:
            self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class Connection(HttpToolsProtocol):
    """uvicorn's own, but the head of a request has a deadline and a limit: it would wait for it, and keep it, for ever.

    When uvicorn is given no WebSocket protocol (``ws="none"``), a request for one becomes a
    :class:`relay.stream.handshake.Handshake`, and nothing of this object remains.
    """

    _deadline: asyncio.TimerHandle | None = None
    _awaits_head = True
    _heads = 0  # begun
    _head_bytes = 0  # received of the one that is not complete
    _handshake: Handshake | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._meet_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """uvicorn's, which forgets what comes right behind the head of an upgrade."""
        self._unset_keepalive_if_required()
        heads = self._heads
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._refuse(431 if isinstance(error.__context__, _HeadTooLarge) else 400)
            return
        if self._awaits_head and self._heads:  # a head that has begun and is not whole
            self._head_bytes += len(data) if self._heads == heads else 0
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._refuse(431)
            elif self._deadline is None:
                self._set_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._awaits_head = True
        self._heads += 1
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._awaits_head = False
        self._meet_deadline()
        if len(self.url) + sum(map(len, chain.from_iterable(self.headers))) > _MAX_HEAD_BYTES:
            raise _HeadTooLarge
        if self.ws_protocol_class is None and self.parser.should_upgrade() and self._asks_for_websocket():
            self._shake_hands()
            return
        if len(self.url) > _MAX_URL_BYTES:
            raise _HeadTooLarge
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scope["method"] != "HEAD":
            self.cycle.transport = _Answer(self.transport)  # type: ignore[assignment]  # all that a cycle uses

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _meet_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int) -> None:
        log.info("http.refused", status=status, client=self.client[0] if self.client else "")
        self.transport.write(handshake.response(status, self.server_state.default_headers))
        self.transport.close()

    # The way to a WebSocket

    def _asks_for_websocket(self) -> bool:
        if self.cycle is not None and not self.cycle.response_complete:
            return False  # the answer to an earlier request is still being written
        return handshake.is_asked_for(self.parser.get_method(), self.parser.get_http_version(), self.headers)

    def _shake_hands(self) -> None:
        # As httptools does, which stops at 64 KiB; a fragment is not sent (RFC 9112 section 3.2).
        target, _, query = self.url.partition(b"?")
        path = target if target.startswith(b"/") else httptools.parse_url(target).path or b"/"
        scope = cast("dict[str, Any]", self.scope)
        scope["path"] = self.root_path + unquote(path.decode("latin-1"))
        scope["raw_path"] = self.root_path.encode("ascii") + path
        scope["query_string"] = query
        self.connections.discard(self)
        self._handshake = Handshake(self.transport, self.connections, self.server_state.default_headers)
        task = self._handshake.begin(self.app, scope)
        if task:
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _upgraded(self, early: bytes) -> None:
        if self._handshake:
            self.parser = None  # type: ignore[assignment]  # which knows us: both would wait for the garbage collector
            if early:
                self._handshake.data_received(early)
        elif self._should_upgrade():
            self.handle_websocket_upgrade()

    def _should_upgrade(self) -> bool:
        """Also asked for each piece of a body, and at its end: there is no request that could take it."""
        return self._handshake is not None or super()._should_upgrade()
