"""The slim connection: how a delivery costs one system call, and an idle socket two KiB.

A WebSocket begins as an ordinary Starlette endpoint under uvicorn: routing, credentials, admission, all as anywhere.
When it is let in, everything that got it there is weight: the ASGI task and its queue, the HTTP request, the protocol
objects of websockets and uvicorn, their timers; 24 to 29 KiB a socket, and three quarters of the time of a delivery.
So the endpoint asks the server for the transport itself and returns. What remains is

- uvloop's transport, whose protocol is now a :class:`Wire`, an object of some 150 bytes that *is* the hub's listener;
- ``deliver``: one ``transport.write`` of frame bytes that all sockets share (frames.py), which is one system call;
- an :class:`~relay.stream.outbox.Outbox`, which decides about all that is not so simple;
- one place in the heartbeat's wheel (heartbeat.py), and none of websockets' parser until bytes come (incoming.py).

How the hand-over is done, and what it depends on:

1. connection.py, which is uvicorn's HTTP protocol, gives the parsed request to a ``Handshake`` (handshake.py). Neither
   uvicorn's nor websockets' objects for a WebSocket are ever made. It puts a callable into ``scope["extensions"]``.
2. The endpoint calls it when the client may listen. It writes the 101 and lets go of the transport.
3. ``transport.set_protocol(wire)`` makes the wire the receiver of all bytes and of ``connection_lost``. It stands in
   ``server_state.connections``, so that uvicorn waits for it when it shuts down.

A refusal is a wire too, which was ended before it is opened. What a client sends before it saw the 101 is kept aside,
and taken by the wire first: it may end within a frame.

A large mail takes a slow line minutes. It leaves in fragments, each when the transport has room for it, so that pings,
pongs and a close pass between them; and a peer that takes bytes is alive, though its pong stands behind them.

Under another server or a test client the extension is not
there, and the same endpoint streams the portable way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from relay.delivery.letter import Gap, Letter, SocketStatus
from relay.errors import LEAVING, SLOW, Close, Refused
from relay.message_id import MessageId
from relay.stream import frames
from relay.stream.frames import Format
from relay.stream.handshake import HandOver
from relay.stream.heartbeat import Wheel
from relay.stream.incoming import Incoming
from relay.stream.line import take_from_kernel, unacknowledged_bytes
from relay.stream.outbox import Outbox, Phase, Verdict

_FRAGMENT_BYTES = 64 * 1024  # half a second at 1 Mbit/s; what is larger leaves in fragments
_FAREWELL_SECONDS = 5.0  # a peer that takes nothing, and has not closed, for so long is cut off
_FAREWELL_LOOKS = 12  # so often, while it takes something
_STALLED_SECONDS = 30.0  # that a replay waits for a socket to take anything
_FEW = 8  # names that are looked through as fast as looked up
_PONG_TO_OUR_PING = b"\x8a\x80"  # and four bytes of mask; our pings are empty
_NO_ANSWER = Close(1011, "no answer to our ping", retry=True, status=503)


class WireContext:
    """What all wires of a process share."""

    def __init__(self, wheel: Wheel, limit_bytes: int, on_end: Callable[[Wire, Close | None], None]) -> None:
        """``limit_bytes``: RELAY_SOCKET_BUFFER_BYTES. ``on_end`` is told our close; None when the client went."""
        self.wheel = wheel
        self.limit_bytes = limit_bytes
        self.fragment_bytes = min(_FRAGMENT_BYTES, limit_bytes)  # and what a transport may have waiting
        self.on_end = on_end


class Wire(asyncio.Protocol):
    """One listening socket, as the hub (Listener), the wheel (Pulse) and the transport (Protocol) see it."""

    waits_for = ""

    __slots__ = (
        "_connections",
        "_context",
        "_deflate",
        "_drained",
        "_farewell",
        "_fragments",
        "_incoming",
        "_outbox",
        "_slot",
        "_transport",
        "_unread_bytes",
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
        self._outbox = Outbox(limit_bytes=context.limit_bytes)
        self._fragments: Iterator[bytes] | None = None  # of the message that is under way
        self._drained: asyncio.Future[None] | None = None  # who resumes waits for it
        self._farewell: Refused | None = None  # why it was ended before it was opened
        self._incoming: Incoming | None = None
        self._waits_since = 0  # tick of the ping that has no answer yet, 0 = none
        self._unread_bytes = 0  # that were on their way when it was sent
        self._deflate = False

    # For the hub. Nothing here waits.

    def deliver(self, letter: Letter | Gap) -> None:
        """See :class:`relay.delivery.letter.Listener`."""
        frame = letter.variants.get(self._variant)
        if frame is None:
            frame = frames.wire(letter, self._variant)
        if self._outbox.phase or len(frame) > self._context.fragment_bytes:
            self._deliver_unusual(letter, len(frame))
        else:
            self.delivered += 1
            self._transport.write(frame)

    def _deliver_unusual(self, letter: Letter | Gap, size_bytes: int) -> None:
        verdict = self._outbox.offer(letter, size_bytes)
        if verdict is Verdict.WRITE:
            self._pump()
        elif verdict is Verdict.TOO_SLOW:
            limit = self._context.limit_bytes
            self.end(SLOW, f"more than {limit} bytes were waiting for this socket; read faster")

    def _pump(self) -> None:
        """Gives the transport what waits, as long as it takes it."""
        outbox = self._outbox
        while not outbox.paused:
            if self._fragments is not None:
                if fragment := next(self._fragments, None):
                    self._transport.write(fragment)
                    continue
                self._fragments = None
            item = outbox.next()
            if item is None:
                break
            self.delivered += 1
            frame = frames.wire(item, self._variant)
            if len(frame) > self._context.fragment_bytes:
                self._fragments = frames.fragments(frame, self._context.fragment_bytes)
            else:
                self._transport.write(frame)
        self._wake()

    def end(self, close: Close, text: str) -> None:
        """See :class:`relay.delivery.letter.Listener`."""
        if self._outbox.phase is Phase.ENTERING:
            self._farewell = self._farewell or Refused(close, text)
        elif self._outbox.phase is not Phase.ENDED:
            self._say_goodbye(Refused(close, text))

    def _say_goodbye(self, refused: Refused) -> None:
        """Within a message there is no place for the words, but for the close."""
        if refused.close is not SLOW and self._fragments is None:
            self._transport.write(frames.control(frames.refusal(refused)))
        self._leave(refused.close)

    def _leave(self, close: Close) -> None:
        """Our close frame; then the peer's, or the end of its time."""
        self._stop()
        self._context.on_end(self, close)
        self._transport.write(frames.closing(close))
        self._wait_for_the_end(_FAREWELL_LOOKS)

    def _stop(self) -> None:
        """Nothing is given to the transport any more but a close."""
        self._outbox.end()
        self._fragments = None
        self._wake()

    def _wait_for_the_end(self, looks: int) -> None:
        waiting = unacknowledged_bytes(self._transport)
        asyncio.get_running_loop().call_later(_FAREWELL_SECONDS, self._end_unless_read, waiting, looks)

    def _end_unless_read(self, waiting_before: int, looks: int) -> None:
        if self._transport.is_closing() or looks <= 1 or unacknowledged_bytes(self._transport) >= waiting_before:
            self._transport.abort()
        else:
            self._wait_for_the_end(looks - 1)

    def status(self) -> SocketStatus:
        """See :class:`relay.delivery.letter.Listener`."""
        entering = self._outbox.phase is Phase.ENTERING
        waiting = self._outbox.waiting_bytes + (0 if entering else self._transport.get_write_buffer_size())
        return SocketStatus(self.opened_us, frames.format_of(self._variant), self.client, waiting, self.delivered)

    # For a socket that resumes, see relay/delivery/replay.py.

    def hold(self) -> None:
        """See :class:`relay.delivery.replay.Resuming`."""
        self._outbox.hold()

    def send(self, item: Letter | Gap) -> None:
        """See :class:`relay.delivery.replay.Resuming`."""
        if self._outbox.put(item, len(frames.wire(item, self._variant))) is Verdict.WRITE:
            self._pump()

    async def room(self) -> bool:
        """See :class:`relay.delivery.replay.Resuming`. One that takes nothing for a while is slow."""
        loop = asyncio.get_running_loop()
        while not self._outbox.has_room:
            self._drained = loop.create_future()
            waiting, began = unacknowledged_bytes(self._transport), loop.time()
            try:
                async with asyncio.timeout(_STALLED_SECONDS):
                    await self._drained
            except TimeoutError:
                # Where we have not run for a while ourselves, it has had no time.
                ran = loop.time() - began < _STALLED_SECONDS + 1
                if ran and unacknowledged_bytes(self._transport) >= waiting:
                    self.end(SLOW, f"nothing was read from this socket for {_STALLED_SECONDS:g} s; read faster")
        return self._outbox.phase is not Phase.ENDED

    def release(self, last: Mapping[str, MessageId]) -> bool:
        """See :class:`relay.delivery.replay.Resuming`."""
        held = self._outbox.release(last)
        for letter in held or ():
            self.deliver(letter)
        return held is not None

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
        take_from_kernel(self._transport)
        # No more than a fragment waits there: a ping stands behind all that does.
        high = self._context.fragment_bytes
        self._transport.set_write_buffer_limits(high, high // 4)
        self._slot = self._context.wheel.add(self)
        self._outbox.open()
        self._transport.writelines([frames.control(text) for text in greeting])
        if self._farewell is None and not resumes and not self.release({}):
            limit = self._context.limit_bytes
            self._farewell = Refused(SLOW, f"more than {limit} bytes were waiting for this socket; read faster")
        if self._farewell:
            self.end(self._farewell.close, self._farewell.text)
        if hand_over.early:
            self.data_received(hand_over.early)

    def pause_writing(self) -> None:
        """More than a fragment is waiting in the transport."""
        self._outbox.pause()

    def resume_writing(self) -> None:
        """A quarter of it is: the peer is alive, and takes more."""
        self._waits_since = 0
        self._outbox.resume()
        self._pump()

    def data_received(self, data: bytes) -> None:
        """Nearly always the pong to a ping; all else is parsed, and as a rule ignored."""
        self._waits_since = 0
        if self._incoming is None:
            if len(data) == 6 and data.startswith(_PONG_TO_OUR_PING):
                return
            self._incoming = Incoming(deflate=self._deflate)
        outcome = self._incoming.receive(data)
        if outcome.code is None:
            # Who asks and asks, and reads no answer, gets none: they would be without end.
            if outcome.reply and self._transport.get_write_buffer_size() <= self._context.limit_bytes:
                self._transport.write(outcome.reply)
            if self._incoming.idle:
                self._incoming = None
            return
        if self._outbox.phase is not Phase.ENDED:  # else it answers our close frame, or says something after it
            self._stop()
            mistake = (
                Close(outcome.code, "the client's mistake", retry=False, status=400) if outcome.mistake else None
            )
            self._context.on_end(self, mistake)
            self._transport.write(outcome.reply)
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever brought it about."""
        if self._outbox.phase is not Phase.ENDED:
            self._stop()
            self._context.on_end(self, None)
        self._incoming = None
        self._context.wheel.remove(self, self._slot)
        self._connections.discard(self)

    # For the wheel.

    def ping(self, now: int) -> None:
        """See :class:`relay.stream.heartbeat.Pulse`."""
        if self._outbox.phase is Phase.ENDED:
            return
        if not self._waits_since:
            self._waits_since = now
            self._unread_bytes = unacknowledged_bytes(self._transport)  # without the ping, which nobody need read
        self._transport.write(frames.PING)

    def check(self, then: int) -> None:
        """See :class:`relay.stream.heartbeat.Pulse`. A half-open peer reads nothing, so it is cut off at once."""
        if not 0 < self._waits_since <= then or self._outbox.phase is Phase.ENDED:
            return
        if unacknowledged_bytes(self._transport) < self._unread_bytes:
            self._waits_since = 0  # its answer is still behind what it reads; the next ping asks again
        else:
            self._leave(_NO_ANSWER)

    # For uvicorn.

    def shutdown(self) -> None:
        """The server ends. The door has closed all sockets before; who is still here came late."""
        self.end(LEAVING, "this process is leaving; connect again")
