"""One connection of a listener: opened, read frame by frame, and in which way it ended."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
)
from websockets.frames import CloseCode
from websockets.http11 import Response

from relay import clock
from relay.client.errors import Lost, NotWanted, Unusable
from relay.client.frames import Confirmed, Gap, LastWords, Mail, Unknown, parse
from relay.errors import CLOSES, RelayError
from relay.network import is_loopback, reason_of

_LAST_WORDS_SECONDS = 1.0  # a server that does not answer our close frame is not waited for
_LATE_SECONDS = 1.0  # a timer that fires so much later: this process did not run
_PASSING = frozenset((408, 425, 429))  # HTTP statuses below 500 after which another attempt makes sense
_RESTARTS = frozenset((CloseCode.GOING_AWAY, CloseCode.SERVICE_RESTART))
_CLOCKS_DIFFER_MS = 60_000  # ours, where a server does not say what time it is

_silent = logging.Logger(
    "relay.client.connection", logging.CRITICAL
)  # websockets logs headers, and one is the key


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach the server. ``url`` holds no key, and no cursors yet."""

    url: str
    key: str
    ping_seconds: float  # a peer that sends nothing for twice as long is dead
    max_frame_bytes: int

    @property
    def short(self) -> str:
        """The URL without its query."""
        return self.url.partition("?")[0]


class _Socket(ClientConnection):
    """One that knows when it has heard from its server.

    A pong may stand behind a large message for minutes, so any byte is a sign of life. What we do not read, because
    its consumer is slow or because we did not run, is not the server's silence.
    """

    heard = 0.0  # by the loop's clock
    silent_seconds = 0.0  # for which the server had said nothing when it was given up, 0 = it was not

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        super().data_received(data)

    async def watch(self, ping_seconds: float) -> None:
        """Pings, and gives up a server that sends nothing. Returns when the connection has ended."""
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(ping_seconds)
                await self.ping()
                asked = self.loop.time()
                await asyncio.sleep(ping_seconds)
                now = self.loop.time()
                if self.heard >= asked or self._has_not_read(now - asked - ping_seconds):
                    continue
                self.silent_seconds = now - self.heard if self.heard else ping_seconds
                self.transport.abort()
                return

    def _has_not_read(self, late_seconds: float) -> bool:
        return late_seconds > _LATE_SECONDS or self.recv_messages.paused


class Connection:
    """An open socket."""

    def __init__(self, socket: _Socket, way: Way) -> None:
        self._socket = socket
        self._way = way
        self._last_words = ""

    @property
    def opened_ms(self) -> int:
        """Unix time of the handshake by the server's clock, rather too early than too late."""
        date = self._socket.response.headers.get("Date") if self._socket.response else None
        try:
            return round(parsedate_to_datetime(date or "").timestamp() * 1000)
        except (ValueError, OverflowError):
            return clock.now_ms() - _CLOCKS_DIFFER_MS

    async def receive(self) -> Mail | Gap | Confirmed | Unknown:
        """The next frame; to cancel it loses none. Raises Lost, NotWanted, Unusable."""
        while True:
            try:
                frame = parse(await self._socket.recv(decode=False))
            except ConnectionClosed as closed:
                raise self._ended(closed) from closed
            if not isinstance(frame, LastWords):
                return frame
            self._last_words = frame.text

    def _ended(self, closed: ConnectionClosed) -> RelayError:
        if closed.sent and closed.sent.code == CloseCode.MESSAGE_TOO_BIG and not closed.rcvd_then_sent:
            limit = self._way.max_frame_bytes
            return Unusable(f"a message is larger than the {limit} bytes of max_frame_bytes; allow more")
        if closed.rcvd is None:
            ours = f": {closed.sent.reason}" if closed.sent and closed.sent.reason else ""
            if self._socket.silent_seconds:
                ours = f": the server sent nothing for {self._socket.silent_seconds:.0f} s"
            return Lost(f"the connection broke{ours}")
        code = closed.rcvd.code
        text = (
            f"{self._last_words or closed.rcvd.reason or 'the server closed the connection'} (close code {code})"
        )
        close = CLOSES.get(code)
        if code == CloseCode.MESSAGE_TOO_BIG or (close and not close.retry):
            return NotWanted(text, code=code)
        return Lost(text, restarts=code in _RESTARTS)


class _Connect(connect):
    """Follows no redirect: websockets would take the Mailsac-Key header along to another host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


@asynccontextmanager
async def open_connection(way: Way, since: str) -> AsyncIterator[Connection]:
    """A connection that resumes at ``since`` (escaped; "" = live). Raises Lost, NotWanted, Unusable."""
    url = f"{way.url}&since={since}" if since else way.url
    try:
        socket = await _Connect(
            url,
            additional_headers={"Mailsac-Key": way.key},
            proxy=None if is_loopback(url) else True,
            max_size=way.max_frame_bytes,
            ping_interval=None,  # see _Socket.watch
            create_connection=_Socket,
            close_timeout=_LAST_WORDS_SECONDS,
            logger=_silent,
        )
    except InvalidStatus as error:
        raise _denied(way, error.response) from error
    except ssl.SSLCertVerificationError as error:
        raise Unusable(
            f"{way.short}: the certificate is not trusted: {error.verify_message}", passing=True
        ) from error
    except ConnectionClosed as error:  # before the request was sent
        raise Lost(f"cannot connect to {way.short}: it hung up") from error
    except (OSError, InvalidMessage) as error:  # also TimeoutError
        raise Lost(f"cannot connect to {way.short}: {reason_of(error)}") from error
    except (InvalidHandshake, InvalidURI, InvalidProxy) as error:
        raise Unusable(f"{way.short} does not speak WebSocket: {error}", passing=True) from error
    assert isinstance(socket, _Socket)  # noqa: S101  # as asked for above
    watching = asyncio.create_task(socket.watch(way.ping_seconds), name="relay.client.watch")
    try:
        yield Connection(socket, way)
    finally:
        watching.cancel()
        await socket.close()


def _denied(way: Way, response: Response) -> Lost | NotWanted:
    """An answer instead of the upgrade."""
    status = response.status_code
    text = f"{way.short} answers {status}: {_sentence(response)}"
    if status in _PASSING or status >= 500:
        asked = response.headers.get("Retry-After", "")
        return Lost(text, asked_seconds=float(asked) if asked.isdecimal() and len(asked) < 10 else 0.0)
    if where := response.headers.get("Location"):
        text = f"{text}; it redirects to {where.partition('?')[0]}: give that URL if you trust it"
    return NotWanted(text, code=status)


def _sentence(response: Response) -> str:
    try:
        return str(orjson.loads(response.body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        text = bytes(response.body or b"").decode("utf-8", "replace")
        return next(iter(text.splitlines()), response.reason_phrase)
