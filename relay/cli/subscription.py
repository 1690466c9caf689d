"""One listener's mail over as many WebSockets as it takes: connects, reads, and comes back when it may."""

from __future__ import annotations

import random
import ssl
import time
from asyncio import sleep
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

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
from websockets.http11 import Response

from relay.cli.network import is_loopback, reason_of
from relay.cli.target import Target
from relay.errors import CLOSES, RelayError

MAX_FRAME_BYTES = 64 * 1024 * 1024  # a mail of 25 MiB, the default limit, in JSON: raw, and once more as text
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_ASKED_SECONDS = 300.0  # of Retry-After
_LAST_WORDS_SECONDS = 1.0  # a server that does not answer our close frame is not waited for

Message = dict[str, Any]
Tell = Callable[[str], None]


class NotWanted(RelayError):
    """The server says that coming back makes no sense; the text is its sentence."""


class Lost(RelayError):
    """There is no connection (any more), and another may be had; not before ``asked_seconds``."""

    def __init__(self, text: str, *, asked_seconds: float = 0.0) -> None:
        self.asked_seconds = asked_seconds
        super().__init__(text)


class Subscription:
    """What a target sends. ``tell`` hears in a sentence what else happens."""

    def __init__(self, target: Target, key: str, *, reconnect: bool, tell: Tell) -> None:
        self._target = target
        self._key = key
        self._reconnect = reconnect
        self._tell = tell
        self._pause_seconds = 0.0  # of the last time; 0.0 when the connection after it was a good one

    async def messages(self) -> AsyncGenerator[Message, None]:
        """All mail, without end.

        Raises NotWanted, or another RelayError when the target is no relay, or with ``reconnect`` off Lost.
        """
        while True:
            started = time.monotonic()
            try:
                async with _open(self._target, self._key) as socket:
                    self._tell(f"connected to {self._target.short}")
                    async for message in _read(socket, self._tell):
                        self._pause_seconds = 0.0
                        yield message
            except Lost as lost:
                if not self._reconnect:
                    raise
                if time.monotonic() - started > _LONGEST_PAUSE_SECONDS:
                    self._pause_seconds = 0.0
                await self._wait(lost)

    async def _wait(self, lost: Lost) -> None:
        """Twice as long each time, less a random part: a restart sends everybody back at the same moment."""
        self._pause_seconds = min(max(self._pause_seconds * 2, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        seconds = max(self._pause_seconds * random.SystemRandom().uniform(0.5, 1.0), lost.asked_seconds)
        self._tell(f"{lost}; connecting again in {seconds:.1f} s")
        await sleep(seconds)


class _Connect(connect):
    """Follows no redirect: websockets would take the Mailsac-Key header along to another host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


@asynccontextmanager
async def _open(target: Target, key: str) -> AsyncIterator[ClientConnection]:
    """An open socket. Raises Lost, NotWanted, RelayError."""
    try:
        socket = await _Connect(
            target.url,
            additional_headers={"Mailsac-Key": key},
            proxy=None if is_loopback(target.url) else True,
            max_size=MAX_FRAME_BYTES,
            close_timeout=_LAST_WORDS_SECONDS,
        )
    except InvalidStatus as error:
        raise _denied(target, error.response) from error
    except ssl.SSLCertVerificationError as error:
        raise RelayError(f"{target.short}: the certificate is not trusted: {error.verify_message}") from error
    except (OSError, InvalidMessage) as error:  # also TimeoutError
        raise Lost(f"cannot connect to {target.short}: {reason_of(error)}") from error
    except (InvalidHandshake, InvalidURI, InvalidProxy) as error:
        raise RelayError(f"{target.short} does not speak WebSocket: {error}") from error
    try:
        yield socket
    finally:
        await socket.close()


def _denied(target: Target, response: Response) -> RelayError:
    """An answer instead of the upgrade."""
    text = f"{target.short} answers {response.status_code}: {_sentence(response)}"
    if response.status_code == 429 or response.status_code >= 500:
        asked = response.headers.get("Retry-After", "")
        seconds = float(asked) if asked.isdecimal() and len(asked) < 10 else 0.0
        return Lost(text, asked_seconds=min(seconds, _LONGEST_ASKED_SECONDS))
    if where := response.headers.get("Location"):
        return NotWanted(f"{text}; it redirects to {where.partition('?')[0]}: give that URL if you trust it")
    return NotWanted(text)


def _sentence(response: Response) -> str:
    try:
        return str(orjson.loads(response.body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        text = bytes(response.body or b"").decode("utf-8", "replace")
        return next(iter(text.splitlines()), response.reason_phrase)


async def _read(socket: ClientConnection, tell: Tell) -> AsyncIterator[Message]:
    """The messages of one connection, until it ends. Raises Lost, NotWanted."""
    last_words = ""
    while True:
        try:
            frame = await socket.recv(decode=False)
        except ConnectionClosed as closed:
            raise _ended(closed, last_words) from closed
        match _parse(frame):
            case {"_id": _} as message:
                yield message
            case {"email": {"_id": _} as message}:
                yield message
            case {"error": error}:
                last_words = str(error)
            case {"msg": "Listening"}:
                pass
            case control:
                tell(f"the server says: {orjson.dumps(control).decode()}")


def _parse(frame: bytes) -> Message:
    try:
        parsed = orjson.loads(frame)
    except orjson.JSONDecodeError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {"unreadable_bytes": len(frame)}


def _ended(closed: ConnectionClosed, last_words: str) -> Lost | NotWanted:
    if closed.rcvd is None:
        ours = f": {closed.sent.reason}" if closed.sent and closed.sent.reason else ""
        return Lost(f"the connection broke{ours}")
    code = closed.rcvd.code
    text = f"{last_words or closed.rcvd.reason or 'the server closed the connection'} (close code {code})"
    close = CLOSES.get(code)
    return Lost(text) if close is None or close.retry else NotWanted(text)
