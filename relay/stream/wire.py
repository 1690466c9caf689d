"""The slim connection: how a delivery costs one system call, and an idle socket two KiB.

A WebSocket begins as an ordinary Starlette endpoint under uvicorn: routing, credentials, admission, all as anywhere.
When it is let in, everything that got it there is weight: the ASGI task and its queue, the HTTP request, the protocol
objects of websockets and uvicorn, their timers; 24 to 29 KiB a socket, and three quarters of the time of a delivery.
So the endpoint asks the server for the transport itself and returns. What remains is

- uvloop's transport, whose protocol is now a :class:`Wire`, an object of some 150 bytes that *is* the hub's listener;
- ``deliver``: one ``transport.write`` of frame bytes that all sockets share (frames.py), which is one system call;
- one place in the heartbeat's wheel (heartbeat.py), and none of websockets' parser until bytes come (incoming.py).

How the hand-over is done, and what it depends on:

1. connection.py, which is uvicorn's HTTP protocol, gives the parsed request to a ``Handshake`` (handshake.py). Neither
   uvicorn's nor websockets' objects for a WebSocket are ever made. It puts a callable into ``scope["extensions"]``.
2. The endpoint calls it when the client may listen. It writes the 101 and lets go of the transport.
3. ``transport.set_protocol(wire)`` makes the wire the receiver of all bytes and of ``connection_lost``. It stands in
   ``server_state.connections``, so that uvicorn waits for it when it shuts down.

A refusal is a wire too, which was ended before it is opened. What a client sends before it saw the 101 is kept aside,
and taken by the wire first: it may end within a frame. Under another server or a test client the extension is not
there, and the same endpoint streams the portable way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from relay.delivery.letter import Gap, Letter, SocketStatus
from relay.errors import LEAVING, SLOW, Close, Refused
from relay.message_id import MessageId
from relay.stream import frames
from relay.stream.frames import Format
from relay.stream.handshake import HandOver
from relay.stream.heartbeat import Wheel
from relay.stream.incoming import Incoming
from relay.stream.pending import AlreadySent, PendingQueue
from relay.stream.unsent import unsent_bytes

_FAREWELL_SECONDS = 5.0  # a peer that has not closed by then is cut off, whatever waits for it
_STALLED_SECONDS = 30.0  # that a replay waits for a socket to take anything
_FEW = 8  # names that are looked through as fast as looked up
_PONG_TO_OUR_PING = b"\x8a\x80"  # and four bytes of mask; our pings are empty
_NO_ANSWER = Close(1011, "no answer to our ping", retry=True, status=503)

# What a wire is doing. Anything but OPEN takes the long way through deliver.
_OPEN, _PAUSED, _HOLDING, _REPLAYING, _RESUMED, _ENDED = range(6)


@dataclass(frozen=True, slots=True)
class WireContext:
    """What all wires of a process share."""

    wheel: Wheel
    limit_bytes: int  # RELAY_SOCKET_BUFFER_BYTES
    on_end: Callable[[Wire, Close | None], None]  # told our close; None when the client went by itself


class Wire(asyncio.Protocol):
    """One listening socket, as the hub (Listener), the wheel (Pulse) and the transport (Protocol) see it."""

    waits_for = ""

    __slots__ = (
        "_already_sent",
        "_buffered",
        "_connections",
        "_context",
        "_deflate",
        "_drained",
        "_farewell",
        "_held",
        "_incoming",
        "_large_bytes",
        "_slot",
        "_state",
        "_transport",
        "_variant",
        "_waits_since",
        "account",
        "addresses",
        "client",
        "delivered",
        "domains",
        "key_hash",
        "opened_us",
    )

    def __init__(
        self,
        *,
        key_hash: str,
        addresses: Collection[str],
        domains: Collection[str],
        context: WireContext,
        client: str = "",
    ) -> None:
        """Holds what it is given until :meth:`open`. ``client`` is its address, for the log."""
        self.account = ""
        self.client = client
        self.opened_us = time.time_ns() // 1000
        self.delivered = 0
        self.key_hash = key_hash
        # A tuple of one takes a quarter of a set of one.
        self.addresses = tuple(addresses) if len(addresses) <= _FEW else addresses
        self.domains = tuple(domains) if len(domains) <= _FEW else domains
        self._context = context
        self._variant: frames.Variant = "message"
        self._state = _HOLDING
        self._held: PendingQueue | None = PendingQueue(limit_bytes=context.limit_bytes)
        self._already_sent: AlreadySent | None = None  # of a socket that resumed, until it has passed them all
        self._drained: asyncio.Future[None] | None = None  # who resumes waits for it
        self._farewell: Refused | None = None  # why it was ended while it still held
        self._incoming: Incoming | None = None
        self._large_bytes = 0  # of the letter beyond the limit that is waiting, 0 = none is
        self._waits_since = 0  # tick of the ping that has no answer yet, 0 = none
        self._buffered = 0  # bytes that it had not acknowledged when it was pinged
        self._deflate = False

    # For the hub. Nothing here waits.

    def deliver(self, letter: Letter | Gap) -> None:
        """See :class:`relay.delivery.letter.Listener`."""
        frame = letter.variants.get(self._variant)
        if frame is None:
            frame = frames.wire(letter, self._variant)
        if self._state or len(frame) > self._context.limit_bytes:
            self._deliver_unusual(letter, frame)
        else:
            self.delivered += 1
            self._transport.write(frame)

    def _deliver_unusual(self, letter: Letter | Gap, frame: bytes) -> None:
        if self._state == _ENDED:
            return
        if self._held is not None:
            self._held.put(letter)
            return
        if self._already_sent is not None and not self._is_new(self._already_sent, letter):
            return
        if self._is_full(len(frame)):
            limit = self._context.limit_bytes
            self.end(SLOW, f"more than {limit} bytes were waiting for this socket; read faster")
            return
        self.delivered += 1
        self._transport.write(frame)
        if self._state != _PAUSED:
            self._large_bytes = 0  # the kernel has taken it

    def _is_new(self, already_sent: AlreadySent, letter: Letter | Gap) -> bool:
        new = already_sent.is_new(letter)
        if not already_sent:
            self._already_sent = None
            self._state = _OPEN if self._state == _RESUMED else self._state
        return new

    def _is_full(self, size: int) -> bool:
        """Whether a frame may not wait too. One beyond the limit may, beside those within it: a socket is not slow
        because a mail is large."""
        waiting = self._transport.get_write_buffer_size()
        if size <= self._context.limit_bytes:
            return waiting - self._large_bytes + size > self._context.limit_bytes
        if self._large_bytes:
            return True
        self._large_bytes = size
        return False

    def end(self, close: Close, text: str) -> None:
        """See :class:`relay.delivery.letter.Listener`."""
        if self._state == _HOLDING:
            self._farewell = self._farewell or Refused(close, text)
        elif self._state != _ENDED:
            self._say_goodbye(Refused(close, text))

    def _say_goodbye(self, refused: Refused) -> None:
        if refused.close is not SLOW:
            self._transport.write(frames.control(frames.refusal(refused)))
        self._leave(refused.close)

    def _leave(self, close: Close) -> None:
        """Our close frame; then the peer's, or the end of its time."""
        self._state = _ENDED
        self._wake()
        self._context.on_end(self, close)
        self._transport.write(frames.closing(close))
        asyncio.get_running_loop().call_later(_FAREWELL_SECONDS, self._transport.abort)

    def status(self) -> SocketStatus:
        """See :class:`relay.delivery.letter.Listener`."""
        held = self._held.size_bytes if self._held is not None else 0
        written = 0 if self._state == _HOLDING else self._transport.get_write_buffer_size()
        return SocketStatus(
            self.opened_us, frames.format_of(self._variant), self.client, held + written, self.delivered
        )

    # For a socket that resumes, see relay/delivery/replay.py.

    def hold(self) -> None:
        """See :class:`relay.delivery.replay.Resuming`."""
        if self._held is not None:
            self._held.clear()

    def send(self, item: Letter | Gap) -> None:
        """See :class:`relay.delivery.replay.Resuming`."""
        if self._state != _ENDED:
            self.delivered += 1
            self._transport.write(frames.wire(item, self._variant))

    async def room(self) -> bool:
        """See :class:`relay.delivery.replay.Resuming`. One that takes nothing for a while is slow; one on a slow line
        takes a little."""
        while self._state == _PAUSED:
            waiting = unsent_bytes(self._transport)
            self._drained = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(_STALLED_SECONDS):
                    await self._drained
            except TimeoutError:
                if unsent_bytes(self._transport) >= waiting:
                    self.end(SLOW, f"nothing was read from this socket for {_STALLED_SECONDS:g} s; read faster")
        return self._state != _ENDED

    def release(self, last: Mapping[str, MessageId]) -> bool:
        """See :class:`relay.delivery.replay.Resuming`."""
        held = self._held
        if held is None or self._state == _ENDED:
            return True
        if held.overflowed:
            return False
        self._held = None
        self._already_sent = AlreadySent(last) if last else None
        limit = self._context.limit_bytes
        self._transport.set_write_buffer_limits(limit, limit // 4)
        if self._state == _REPLAYING:
            self._state = self._calm()
        for letter in held.take():
            self.deliver(letter)
        return True

    def _calm(self) -> int:
        """The state of a socket that takes what it is given."""
        if self._held is not None:
            return _REPLAYING
        return _OPEN if self._already_sent is None else _RESUMED

    def _wake(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # For the transport.

    def open(
        self, hand_over: HandOver, frame_format: Format, greeting: Iterable[str] = (), *, resumes: bool = False
    ) -> None:
        """The transport of ``hand_over`` is ours from now on: the greeting goes out, then what was held.

        A socket that ``resumes`` goes on holding until :meth:`release`.
        """
        self._transport = hand_over.transport
        self._connections = hand_over.connections
        self._deflate = hand_over.deflate
        self._variant = frames.variant(frame_format, deflate=hand_over.shares_deflate)
        self._connections.add(self)
        self._transport.set_protocol(self)
        # A replay waits whenever a quarter of what may wait does: the rest is for what is live when it ends.
        high = self._context.limit_bytes // (4 if resumes else 1)
        self._transport.set_write_buffer_limits(high, high // 4)
        self._slot = self._context.wheel.add(self)
        self._state = _REPLAYING
        self._transport.writelines([frames.control(text) for text in greeting])
        if self._farewell is None and not resumes and not self.release({}):
            limit = self._context.limit_bytes
            self._farewell = Refused(SLOW, f"more than {limit} bytes were waiting for this socket; read faster")
        if self._farewell and self._state != _ENDED:
            self._say_goodbye(self._farewell)
        if hand_over.early:
            self.data_received(hand_over.early)

    def pause_writing(self) -> None:
        """More than the limit is waiting in the transport."""
        if self._state != _ENDED:
            self._state = _PAUSED

    def resume_writing(self) -> None:
        """A quarter of the limit is waiting."""
        self._large_bytes = 0
        if self._state == _PAUSED:
            self._state = self._calm()
        self._wake()

    def data_received(self, data: bytes) -> None:
        """Nearly always the pong to a ping; all else is parsed, and as a rule ignored."""
        self._waits_since = 0
        if self._incoming is None:
            if len(data) == 6 and data.startswith(_PONG_TO_OUR_PING):
                return
            self._incoming = Incoming(deflate=self._deflate)
        outcome = self._incoming.receive(data)
        if outcome.code is None:
            if outcome.reply:
                self._transport.write(outcome.reply)
            if self._incoming.idle:
                self._incoming = None
            return
        if self._state != _ENDED:  # else it answers our close frame, or says something after it
            self._state = _ENDED
            self._wake()
            mistake = (
                Close(outcome.code, "the client's mistake", retry=False, status=400) if outcome.mistake else None
            )
            self._context.on_end(self, mistake)
            self._transport.write(outcome.reply)
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever brought it about."""
        if self._state != _ENDED:
            self._state = _ENDED
            self._wake()
            self._context.on_end(self, None)
        self._incoming = None
        self._context.wheel.remove(self, self._slot)
        self._connections.discard(self)

    # For the wheel.

    def ping(self, now: int) -> None:
        """See :class:`relay.stream.heartbeat.Pulse`."""
        if self._state not in (_HOLDING, _ENDED):
            self._buffered = unsent_bytes(self._transport)
            self._waits_since = self._waits_since or now
            self._transport.write(frames.PING)

    def check(self, then: int) -> None:
        """See :class:`relay.stream.heartbeat.Pulse`. A half-open peer reads nothing, so it is cut off at once.

        On a slow line our ping stands behind a large mail: who takes some of it is alive.
        """
        if not 0 < self._waits_since <= then or self._state == _ENDED:
            return
        if unsent_bytes(self._transport) < self._buffered:
            self._waits_since = 0
        else:
            self._leave(_NO_ANSWER)

    # For uvicorn.

    def shutdown(self) -> None:
        """The server ends. The door has closed all sockets before; who is still here came late."""
        self.end(LEAVING, "this process is leaving; connect again")
