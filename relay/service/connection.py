"""One connection while it speaks HTTP: uvicorn's protocol with the limits that it lacks, and the way to a WebSocket."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast
from urllib.parse import unquote

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from relay import pace
from relay.service.clients import Clients
from relay.stream import handshake
from relay.stream.handshake import Handshake

log = structlog.get_logger()

# Request line and headers. 128 addresses and 1,000 ids take 70 KB; who sends ten times that is still told so over the
# WebSocket, which a browser can read.
_MAX_HEAD_BYTES = 512 * 1024
_MAX_URL_BYTES = 65_535  # httptools' limit, for what is not a WebSocket
_MAX_PARAMETERS = 1000  # of a query; 64 KiB have room for 32,000, which take 30 ms
_MAX_PATH_BYTES = 8 * 1024  # each "%41" in it has to be read
_MAX_HEADER_LINES = 200  # browsers send 20; a line costs us ten times the bytes that it takes on the way
_MAX_HEADERS_BYTES = 64 * 1024
_MAX_FORWARDED_BYTES = 4 * 1024  # X-Forwarded-For is read name by name, each as an address
_MAX_FRAMING_BYTES = 64 * 1024  # of chunks' extensions, or of what follows the last chunk, in a row
_OF_UPGRADE = frozenset((b"upgrade", b"http2-settings"))
_LATE_SECONDS = 1.0  # a timer that fires so much later: the process has been stopped, or busy
_HOST = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*", re.ASCII)  # RFC 3986 section 3.2, without a user
# A body outside of /inbound, or whose reader does not ask. The door answers first, in the words of its provider.
_BODY_PATIENCE = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """What all connections of a server share."""

    request_seconds: float  # for a head, and for a body before it must keep the least rate (pace.py)
    clients: Clients


class _HeadTooLarge(Exception):
    pass


class _BadHost(Exception):
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


# What a connection is waiting for.
_HEAD, _BODY, _NOTHING = range(3)


class Connection(HttpToolsProtocol):
    """uvicorn's own, but each read has a deadline and a limit: it would wait for a request, and keep it, for ever.

    - A head has ``request_seconds`` from the first byte, or from the connection on, and the limits above.
    - A body keeps the least rate; what nobody wants any more, because the answer is given, ends in that time too.
    - What is no request ends with the time of the next one: an empty line behind a request starts it.

    When uvicorn is given no WebSocket protocol (``ws="none"``), a request for one becomes a
    :class:`relay.stream.handshake.Handshake`, and nothing of this object remains.
    """

    _deadline: asyncio.TimerHandle | None = None
    _state = _HEAD
    _heads = 0  # begun
    _head_bytes = 0  # received of the one that is not complete
    _body_bytes = 0
    _body_began = 0.0  # by the loop's clock
    _framing_bytes = 0  # of a body, since there was any of itself
    _trailers = 0
    _handshake: Handshake | None = None
    _anew: bytes | None = None  # a head to be parsed once more, see _without_upgrade
    waits_since: float | None = None  # see relay.service.clients.Waiting

    def __init__(self, *args: Any, limits: Limits, **more: Any) -> None:
        super().__init__(*args, **more)
        self._limits = limits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        clients, peer = self._limits.clients, transport.get_extra_info("peername")
        client = str(peer[0]) if peer and not isinstance(peer, str) else ""
        everybody = self.connections
        self.connections = clients.of(client, everybody)
        refused = 429 if clients.too_many(client, self.connections) else 0
        if not refused and not clients.has_room(transport.get_extra_info("socket").fileno(), everybody):
            refused = 503
        super().connection_made(transport)
        self.waits_since = None if refused else self.loop.time()
        if refused:
            self._answer(refused, ((b"Retry-After", b"5"),))
        else:
            self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._meet_deadline()
        self._let_go_of_head()
        self.waits_since = None
        super().connection_lost(exc)

    def make_room(self) -> None:
        """See :class:`relay.service.clients.Waiting`."""
        self.waits_since = None
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """uvicorn's, which forgets what comes right behind the head of an upgrade."""
        self._unset_keepalive_if_required()
        heads, body_bytes = self._heads, self._body_bytes
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._upgraded(data[upgrade.args[0] :]):
                return
        except httptools.HttpParserError as error:
            self._refuse(431 if isinstance(error.__context__, _HeadTooLarge) else 400)
            return
        if self._state == _NOTHING:
            self._expect_head()
        elif self._state == _BODY:
            self._expect_body(0 if self._body_bytes != body_bytes else len(data))
        elif self._heads:  # a head that has begun and is not whole
            self._hold_head(len(data) if self._heads == heads else 0)

    def _feed(self, data: bytes) -> None:
        """The parser's, which takes all that is behind a head with an Upgrade for another protocol."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                head, self._anew = self._anew, None
                if head is None:
                    raise
                data = head + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
            else:
                return

    def _hold_head(self, more_bytes: int) -> None:
        fits = self._limits.clients.hold_head(self._head_bytes, more_bytes)
        self._head_bytes += more_bytes
        if self._head_bytes > _MAX_HEAD_BYTES:
            self._refuse(431)
        elif not fits:
            self._refuse(503)
        elif self._deadline is None:
            self._set_deadline()

    def _let_go_of_head(self) -> None:
        self._limits.clients.hold_head(self._head_bytes, -self._head_bytes)
        self._head_bytes = 0

    def _expect_head(self) -> None:
        """After bytes that begin no request, when nothing is under way; uvicorn's own clock has been stopped."""
        answered = self.cycle is None or self.cycle.response_complete
        if answered and self._handshake is None and self._deadline is None:
            self._set_deadline()

    def _expect_body(self, framing_bytes: int) -> None:
        self._framing_bytes = self._framing_bytes + framing_bytes if framing_bytes else 0
        if self._framing_bytes > _MAX_FRAMING_BYTES:
            self._refuse(431)
        elif self._deadline is None:
            self._body_began = self.loop.time()
            self._set_body_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._state = _HEAD
        self._heads += 1
        self._let_go_of_head()
        self._trailers = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Also called for what follows the last chunk of a body, which nobody reads."""
        if self._state != _HEAD:
            self._trailers += 1
        elif len(self.headers) < _MAX_HEADER_LINES:
            super().on_header(name, value)
            return
        if self._state == _HEAD or self._trailers > _MAX_HEADER_LINES:
            raise _HeadTooLarge

    def on_headers_complete(self) -> None:
        self._state = _BODY
        self._body_bytes = 0
        self._meet_deadline()
        self._let_go_of_head()
        self.waits_since = None
        self._measure()
        self._look_at_host()
        if self.ws_protocol_class is None and self.parser.should_upgrade() and self._asks_for_websocket():
            self._shake_hands()
            return
        if self.parser.should_upgrade() and not self._should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._anew = self._without_upgrade()
            return
        # A socket under uvicorn's own protocol is told by the endpoint, as one of ours is.
        to_socket = self.parser.should_upgrade() and self._should_upgrade()
        if len(self.url) > _MAX_URL_BYTES or (self.url.count(b"&") > _MAX_PARAMETERS and not to_socket):
            raise _HeadTooLarge
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scope["method"] != "HEAD":
            self.cycle.transport = _Answer(self.transport)  # type: ignore[assignment]  # all that a cycle uses

    def _measure(self) -> None:
        """Raises _HeadTooLarge: reading this head would hold up everybody."""
        lines_bytes = sum(map(len, chain.from_iterable(self.headers)))
        if len(self.url) + lines_bytes > _MAX_HEAD_BYTES or lines_bytes > _MAX_HEADERS_BYTES:
            raise _HeadTooLarge
        if len(self.url) > _MAX_PATH_BYTES and len(self.url.partition(b"?")[0]) > _MAX_PATH_BYTES:
            raise _HeadTooLarge
        if lines_bytes > _MAX_FORWARDED_BYTES:
            forwarded = sum(len(value) for name, value in self.headers if name == b"x-forwarded-for")
            if forwarded > _MAX_FORWARDED_BYTES:
                raise _HeadTooLarge

    def _look_at_host(self) -> None:
        """RFC 9112 section 3.2. Raises _BadHost, which is answered 400."""
        hosts = [value for name, value in self.headers if name == b"host"]
        needed = self.parser.get_http_version() == "1.1"
        if len(hosts) > 1 or (needed and not hosts) or not all(map(_HOST.fullmatch, hosts)):
            raise _BadHost

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._anew is not None:
            return
        self._state = _NOTHING
        self._meet_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A body that is still coming ends now: it may be one without end."""
        super().on_response_complete()
        if self.cycle.response_complete and self._state != _BODY:
            self.waits_since = self.loop.time()
        elif self.cycle.response_complete and not self.transport.is_closing():
            self._meet_deadline()
            self._set_deadline()

    def _set_deadline(self) -> None:
        due = self.loop.time() + self._limits.request_seconds
        self._deadline = self.loop.call_at(due, self._end_unless_late, due)

    def _end_unless_late(self, due: float) -> None:
        """Time in which this process did not run is not the client's: what it sent then waits to be read."""
        if self.loop.time() - due > _LATE_SECONDS:
            self._set_deadline()
        else:
            self.transport.abort()

    def _meet_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _set_body_deadline(self) -> None:
        seconds = pace.seconds_for(self._body_bytes, request_seconds=self._limits.request_seconds * _BODY_PATIENCE)
        due = max(self._body_began + seconds, self.loop.time())
        self._deadline = self.loop.call_at(due, self._look_at_body, due)

    def _look_at_body(self, due: float) -> None:
        """Ends a body that is slower than may be. Where we are the slow ones, its time begins anew."""
        late = self.loop.time() - due > _LATE_SECONDS
        if late or self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._body_began, self._body_bytes = self.loop.time(), 0
        seconds = pace.seconds_for(self._body_bytes, request_seconds=self._limits.request_seconds * _BODY_PATIENCE)
        if self.loop.time() < self._body_began + seconds:
            self._set_body_deadline()
        else:
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        log.info("http.refused", status=status, client=self.client[0] if self.client else "")
        self._answer(status)

    def _answer(self, status: int, headers: handshake.Headers = ()) -> None:
        """The end, and why, unless another answer has begun."""
        self._meet_deadline()
        if not self._is_answering():
            self.transport.write(handshake.response(status, (*self.server_state.default_headers, *headers)))
        self.transport.close()

    def _is_answering(self) -> bool:
        """Whether the client would take more bytes for a part of an answer to an earlier request, or a second one."""
        its_own = self.cycle is not None and self.cycle.scope is self.scope and self._state == _BODY
        if its_own:
            return self.cycle.response_started
        return self.cycle is not None and not self.cycle.response_complete

    # The way to a WebSocket, or back to plain HTTP

    def _without_upgrade(self) -> bytes:
        """The head once more, of a request for a protocol that we do not speak: RFC 9110 section 7.8 has it ignored.

        Java's HTTP client and ``curl --http2`` ask so for HTTP/2 with each request, and the body is none of HTTP/2.
        """
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                kept = (one.strip() for one in value.split(b","))
                value = b", ".join(one for one in kept if one.lower() not in _OF_UPGRADE)  # noqa: PLW2901
            if name not in _OF_UPGRADE and (name != b"connection" or value):
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join(lines) + b"\r\n\r\n"

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

    def _upgraded(self, early: bytes) -> bool:
        """Whether the transport is another's now."""
        if self._handshake:
            self.parser = None  # type: ignore[assignment]  # which knows us: both would wait for the garbage collector
            if early:
                self._handshake.data_received(early)
            return True
        if self._should_upgrade():
            self.handle_websocket_upgrade()
            return True
        return False

    def _should_upgrade(self) -> bool:
        """Also asked for each piece of a body, and at its end: there is no request that could take it."""
        return self._handshake is not None or super()._should_upgrade()
