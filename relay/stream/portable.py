"""A listening socket over plain ASGI: works under every server, and under a test client.

The hub hands letters over without waiting; they wait here, limited in bytes, until the one writer sends them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from relay.delivery.letter import Gap, Letter, SocketStatus
from relay.errors import SLOW, Close, Refused
from relay.message_id import MessageId
from relay.stream import frames
from relay.stream.pending import AlreadySent, PendingQueue
from relay.stream.request import ListenRequest

_STALLED_SECONDS = 30.0  # that a replay waits for a socket to take anything
_LAST_WORDS_SECONDS = 5.0  # a client that reads nothing does not get to see its close frame


class PortableListener:
    """One socket: a :class:`relay.delivery.letter.Listener` that queues, and :meth:`carry` that sends."""

    def __init__(self, request: ListenRequest, *, limit_bytes: int, client: str = "") -> None:
        """``client`` is its address, for the log."""
        self.account = ""
        self.client = client
        self.opened_us = time.time_ns() // 1000
        self.delivered = 0
        self.waits_for = ""
        self.key_hash = request.key_hash
        self.addresses: Collection[str] = request.addresses
        self.domains: Collection[str] = request.domains
        self._format = request.frames
        self._limit_bytes = limit_bytes
        self._held = PendingQueue(limit_bytes=limit_bytes) if request.resume else None
        self._already_sent: AlreadySent | None = None
        self._waiting: deque[Letter | Gap] = deque()
        self._waiting_bytes = 0  # of letters within the limit; not of the one under way
        self._large_waiting = False  # one letter beyond the limit has a place of its own
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()  # for a replay
        self._end: Refused | None = None
        self._ended = asyncio.Event()

    def deliver(self, letter: Letter | Gap) -> None:
        """See :class:`relay.delivery.letter.Listener`.

        However large a mail is, the socket that gets it is not slow for that: one letter beyond the limit may
        wait beside those within it.
        """
        if self._end:
            return
        if self._held is not None:
            self._held.put(letter)
            return
        if self._already_sent and not self._already_sent.is_new(letter):
            return
        size = _size(letter)
        large = size > self._limit_bytes
        if self._large_waiting if large else self._waiting_bytes + size > self._limit_bytes:
            self.end(SLOW, f"more than {self._limit_bytes} bytes were waiting for this socket; read faster")
            return
        self.send(letter)

    def _count(self, letter: Letter | Gap, *, waits: bool) -> None:
        size = _size(letter)
        if size > self._limit_bytes:
            self._large_waiting = waits
        else:
            self._waiting_bytes += size if waits else -size

    def end(self, close: Close, text: str) -> None:
        """See :class:`relay.delivery.letter.Listener`. What still waits is not sent: its right or reader is gone."""
        if self._end is None:
            self._end = Refused(close, text)
            self._waiting.clear()
            self._ended.set()
            self._emptied.set()

    def status(self) -> SocketStatus:
        """See :class:`relay.delivery.letter.Listener`. What waits in the server's own buffers is not known here."""
        held = self._held.size_bytes if self._held is not None else 0
        waiting = held + sum(map(_size, self._waiting))
        return SocketStatus(self.opened_us, self._format, self.client, waiting, self.delivered)

    # For a socket that resumes, see relay/delivery/replay.py.

    def hold(self) -> None:
        """See :class:`relay.delivery.replay.Resuming`."""
        if self._held is not None:
            self._held.clear()

    def send(self, item: Letter | Gap) -> None:
        """See :class:`relay.delivery.replay.Resuming`."""
        if self._end is None:
            self._waiting.append(item)
            self._count(item, waits=True)
            self._emptied.clear()
            self._filled.set()

    async def room(self) -> bool:
        """See :class:`relay.delivery.replay.Resuming`. One that takes nothing for a while is slow."""
        if self._large_waiting or self._waiting_bytes > self._limit_bytes // 4:
            try:
                async with asyncio.timeout(_STALLED_SECONDS):
                    await self._emptied.wait()
            except TimeoutError:
                self.end(SLOW, f"nothing was read from this socket for {_STALLED_SECONDS:g} s; read faster")
        return self._end is None

    def release(self, last: Mapping[str, MessageId]) -> bool:
        """See :class:`relay.delivery.replay.Resuming`."""
        held = self._held
        if held is None or self._end:
            return True
        if held.overflowed:
            return False
        self._held, self._already_sent = None, AlreadySent(last)
        for letter in held.take():
            self.deliver(letter)
        return True

    async def carry(self, websocket: WebSocket, replay: Callable[[], Awaitable[None]] | None) -> Refused | None:
        """Sends until the client leaves (None), or the socket is ended: then the caller says goodbye.

        ``replay`` brings a socket that resumes up to what is live.
        """
        tasks = [
            asyncio.create_task(_watch(websocket), name="stream.watch"),
            asyncio.create_task(self._send(websocket), name="stream.send"),
            asyncio.create_task(self._ended.wait(), name="stream.end"),
        ]
        replaying = [asyncio.ensure_future(replay())] if replay else []
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, *replaying):
                task.cancel()
            results = await asyncio.gather(*tasks, *replaying, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
                raise result
        return self._end

    async def _send(self, websocket: WebSocket) -> None:
        while True:
            while self._waiting:
                letter = self._waiting.popleft()
                self._count(letter, waits=False)
                self.delivered += 1
                await websocket.send_text(frames.text(letter, self._format))
            self._emptied.set()
            await self._filled.wait()
            self._filled.clear()


def _size(item: Letter | Gap) -> int:
    return item.size_bytes if isinstance(item, Letter) else 0


async def _watch(websocket: WebSocket) -> None:
    """Returns when the client is gone. What a client sends is ignored; the server limits its size."""
    while websocket.client_state is WebSocketState.CONNECTED:
        await websocket.receive()


async def say_goodbye(websocket: WebSocket, refused: Refused) -> None:
    """The reason as a control frame, then the close; gives up on a client that does not read. Never raises."""
    try:
        async with asyncio.timeout(_LAST_WORDS_SECONDS):
            if refused.close is not SLOW:
                await websocket.send_text(frames.refusal(refused))
            await websocket.close(refused.close.code, refused.close.reason)
    except (TimeoutError, WebSocketDisconnect, RuntimeError):
        pass  # RuntimeError is Starlette's answer to a socket that is closed already
