"""A listening socket over plain ASGI: works under every server, and under a test client.

The hub hands letters over without waiting; they wait in the outbox, limited in bytes, until the one writer sends them.
How far a message is that the server has taken, ASGI does not tell: so a large one is given the time of a slow line.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from relay.delivery.letter import Gap, Letter, SocketStatus
from relay.errors import SLOW, Close, Refused
from relay.message_id import MessageId
from relay.stream import frames
from relay.stream.outbox import Outbox, Phase, Verdict
from relay.stream.request import ListenRequest

_STALLED_SECONDS = 30.0  # that a replay waits for a socket to take anything, beside the time for its bytes
_LEAST_BYTES_PER_SECOND = 16 * 1024  # of a line that is slow, and alive
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
        self._outbox = Outbox(limit_bytes=limit_bytes)
        self._outbox.open()
        if request.resume is None:
            self._outbox.release({})
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()  # for a replay
        self._end: Refused | None = None
        self._ended = asyncio.Event()

    def deliver(self, letter: Letter | Gap) -> None:
        """See :class:`relay.delivery.letter.Listener`."""
        verdict = self._outbox.offer(letter, _size(letter))
        if verdict is Verdict.TOO_SLOW:
            self.end(SLOW, f"more than {self._limit_bytes} bytes were waiting for this socket; read faster")
        elif verdict is Verdict.WRITE:
            self._filled.set()

    def end(self, close: Close, text: str) -> None:
        """See :class:`relay.delivery.letter.Listener`. What still waits is not sent: its right or reader is gone."""
        if self._end is None:
            self._end = Refused(close, text)
            self._outbox.end()
            self._ended.set()
            self._emptied.set()

    def status(self) -> SocketStatus:
        """See :class:`relay.delivery.letter.Listener`. What waits in the server's own buffers is not known here."""
        return SocketStatus(self.opened_us, self._format, self.client, self._outbox.waiting_bytes, self.delivered)

    # For a socket that resumes, see relay/delivery/replay.py.

    def hold(self) -> None:
        """See :class:`relay.delivery.replay.Resuming`."""
        self._outbox.hold()

    def send(self, item: Letter | Gap) -> None:
        """See :class:`relay.delivery.replay.Resuming`."""
        self._emptied.clear()
        if self._outbox.put(item, _size(item)) is Verdict.WRITE:
            self._filled.set()

    async def room(self) -> bool:
        """See :class:`relay.delivery.replay.Resuming`. One that takes nothing for a while is slow."""
        if not self._outbox.has_room:
            seconds = _STALLED_SECONDS + self._outbox.waiting_bytes / _LEAST_BYTES_PER_SECOND
            try:
                async with asyncio.timeout(seconds):
                    await self._emptied.wait()
            except TimeoutError:
                self.end(SLOW, f"nothing was read from this socket for {seconds:.0f} s; read faster")
        return self._outbox.phase is not Phase.ENDED

    def release(self, last: Mapping[str, MessageId]) -> bool:
        """See :class:`relay.delivery.replay.Resuming`."""
        held = self._outbox.release(last)
        for letter in held or ():
            self.deliver(letter)
        return held is not None

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
            while letter := self._outbox.next():
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
