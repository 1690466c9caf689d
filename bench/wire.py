"""The client's half of RFC 6455, as little of it as counting needs: no JSON, no objects, few Python instructions.

A frame is known by a mark in its first 512 bytes, ``bench-`` and nine digits: the number of the message. Nothing
else of a payload is looked at; only compressed ones are inflated, and equal ones once.
"""

from __future__ import annotations

import socket
import zlib
from dataclasses import dataclass, field

MARK = b"bench-"
_DIGITS = 9
_ID = b'"_id":"' + MARK
_DEFLATED_END = b"\x00\x00\xff\xff"
_HEAD_BYTES = 512  # the mark lies within
BUFFER_BYTES = 1 << 20

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the key and the answer of RFC 6455 section 1.3
_ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
_CLOSE, _PING, _PONG_HEADER = 8, 9, 0x8A
_RSV1 = 0x40
DEFLATE_OFFER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def mark(number: int) -> str:
    """What the message with this number carries."""
    return f"{MARK.decode()}{number:0{_DIGITS}d}"


def upgrade(path: str, *, host: str = "127.0.0.1", deflate: bool = False) -> str:
    """The opening handshake of a client."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {_KEY}",
        "Sec-WebSocket-Version: 13",
        *([f"Sec-WebSocket-Extensions: {DEFLATE_OFFER}"] if deflate else []),
    ]
    return "\r\n".join([*lines, "", ""])


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client of some services says first, in a text frame of its own, to get messages; "" = nothing."""

    says: str = ""  # "{index}" in it is the socket's number, five digits
    answer: str = ""  # what the service's answer holds: from then on the socket listens


def client_frame(text: str) -> bytes:
    """A text frame as a client sends it, below 64 KiB; a mask of zeros changes nothing."""
    payload = text.encode()
    size = len(payload)
    head = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2)
    return b"\x81" + head + bytes(4) + payload


def accepted(answer: bytes) -> bool:
    """Whether this head of an answer opens the socket."""
    return answer.startswith(b"HTTP/1.1 101 ") and _ACCEPT in answer


@dataclass(slots=True)
class Tally:
    """What all sockets of a process have received; shared, so that a wait looks at one number."""

    frames: int = 0
    payload_bytes: int = 0
    arrivals: list[tuple[int, int, int]] | None = None  # socket index, message number, time; None = not wanted
    now_ns: int = 0  # of the read that is being looked at, CLOCK_MONOTONIC
    inflated: tuple[bytes, int] = field(default=(b"", 0))  # the last compressed payload, and its number


class Stream:
    """One open socket: what it has received, and what of a frame is still to come."""

    __slots__ = (
        "closed_with",
        "ends_message",
        "frames",
        "index",
        "last",
        "left",
        "partial",
        "recv_into",
        "sock",
        "wrong",
    )

    def __init__(self, index: int, sock: socket.socket) -> None:
        self.index = index
        self.sock = sock
        self.recv_into = sock.recv_into
        self.left = 0  # bytes of the frame under way that have not come
        self.partial = b""  # the beginning of a frame, too short to be looked at
        self.ends_message = True  # the frame under way, or it is a fragment and others follow
        self.frames = 0
        self.last = 0  # number of the last message
        self.wrong = 0  # messages that did not follow the one before
        self.closed_with = ""  # why the peer closed; "" = it did not

    def receive(self, buffer: bytearray, view: memoryview, tally: Tally) -> bool:
        """Takes one read's worth; False when the peer has gone. Raises BlockingIOError, OSError."""
        start = len(self.partial)
        if start:
            view[:start] = self.partial
            self.partial = b""
        size = self.recv_into(view[start:] if start else view)
        if not size:
            return False
        self.take(buffer, start + size, tally)
        return True

    def take(self, buffer: bytearray, end: int, tally: Tally) -> None:
        """Counts the frames in ``buffer[:end]``."""
        position = self.left
        if position:
            if position > end:
                self.left = position - end
                return
            self.left = 0
            self._count(tally)
        while position < end:
            payload, length = _header(buffer, position, end)
            if not payload or payload + min(length, _needed(buffer[position])) > end:
                self.partial = bytes(buffer[position:end])
                return
            first, position = buffer[position], payload + length
            if first & 0x08:
                self._control(first & 0x0F, bytes(buffer[payload:position]))
            else:
                self._message(buffer, (payload, position), end, first, tally)

    def _message(self, buffer: bytearray, place: tuple[int, int], end: int, first: int, tally: Tally) -> None:
        """One frame whose head is there, at ``place``; it is counted when all of it is, and ends a message."""
        payload, after = place
        tally.payload_bytes += after - payload
        self.ends_message = bool(first & 0x80)
        if first & 0x0F:  # else a fragment behind the first, which has the number
            self._look(buffer, place, first, tally)
        if after > end:
            self.left = after - end
        else:
            self._count(tally)

    def _look(self, buffer: bytearray, place: tuple[int, int], first: int, tally: Tally) -> None:
        payload, after = place
        if first & _RSV1:
            number = self._inflated(bytes(buffer[payload:after]), tally)
        else:
            number = _number(buffer, payload, after)
        if tally.arrivals is not None:
            tally.arrivals.append((self.index, number, tally.now_ns))
        elif number != self.last + 1 and self.last:
            self.wrong += 1
        self.last = number

    def _count(self, tally: Tally) -> None:
        if self.ends_message:
            self.frames += 1
            tally.frames += 1

    def _inflated(self, payload: bytes, tally: Tally) -> int:
        if payload != tally.inflated[0]:
            # RFC 7692 section 7.2.2; an object each, so a frame that leans on an earlier one is found out.
            text = zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload + _DEFLATED_END * self.ends_message)
            tally.inflated = payload, _number(bytearray(text), 0, len(text))
        return tally.inflated[1]

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == _PING:  # masked with zeros, as in client_frame
            self.sock.send(bytes((_PONG_HEADER, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
        elif opcode == _CLOSE:
            self.closed_with = f"{int.from_bytes(payload[:2])} {payload[2:].decode(errors='replace')}"


class BatchStream(Stream):
    """A socket whose frames hold any number of messages, in an envelope of the service (Centrifugo).

    A message is known by the member ``"_id":"bench-…``, wherever it stands, and counted when its frame is whole.
    """

    __slots__ = ("_numbers", "_tail", "awaited")

    def __init__(self, index: int, sock: socket.socket, awaited: str) -> None:
        super().__init__(index, sock)
        self.awaited = awaited.encode()  # what must come before the socket counts as open; b"" = it has come
        self._tail = b""  # the end of what was looked at of the frame under way
        self._numbers: list[int] = []  # of the messages in it

    def take(self, buffer: bytearray, end: int, tally: Tally) -> None:
        """Counts the messages in ``buffer[:end]``."""
        position = 0
        while position < end:
            if not self.left:
                payload, length = _header(buffer, position, end)
                control = bool(buffer[position] & 0x08)
                if not payload or (control and payload + length > end):
                    self.partial = bytes(buffer[position:end])
                    return
                if control:
                    self._control(buffer[position] & 0x0F, bytes(buffer[payload : payload + length]))
                    position = payload + length
                    continue
                position, self.left = payload, length
            stop = min(end, position + self.left)
            self._look_at(bytes(buffer[position:stop]), tally)
            self.left -= stop - position
            position = stop
            if not self.left:
                self._frame_is_whole(tally)

    def _look_at(self, part: bytes, tally: Tally) -> None:
        tally.payload_bytes += len(part)
        text, after = self._tail + part, 0
        if self.awaited and self.awaited in text:
            self.awaited = b""
        while (found := text.find(_ID, after)) >= 0 and found + len(_ID) + _DIGITS <= len(text):
            after = found + len(_ID) + _DIGITS
            self._numbers.append(int(text[after - _DIGITS : after]))
        self._tail = text[max(after, len(text) - len(_ID) - _DIGITS) :]

    def _frame_is_whole(self, tally: Tally) -> None:
        for number in self._numbers:
            if tally.arrivals is not None:
                tally.arrivals.append((self.index, number, tally.now_ns))
            elif number != self.last + 1 and self.last:
                self.wrong += 1
            self.last = number
            self.frames += 1
            tally.frames += 1
        self._numbers.clear()
        self._tail = b""


def _header(buffer: bytearray, position: int, end: int) -> tuple[int, int]:
    """Where the payload begins and how long it is; 0 and 0 when the header is not complete."""
    if end - position < 2:
        return 0, 0
    length = buffer[position + 1]
    if length < 126:
        return position + 2, length
    size = 4 if length == 126 else 10
    if end - position < size:
        return 0, 0
    return position + size, int.from_bytes(buffer[position + 2 : position + size])


def _needed(first: int) -> int:
    """Bytes of the payload that must be there to look at it: all of control frames and compressed ones."""
    return BUFFER_BYTES if first & (0x08 | _RSV1) else _HEAD_BYTES


def _number(buffer: bytearray, start: int, end: int) -> int:
    """The message's number; 0 when there is no mark: such a frame follows nothing and is found out."""
    found = buffer.find(MARK, start, min(start + _HEAD_BYTES, end))
    if found < 0:
        return 0
    return int(buffer[found + len(MARK) : found + len(MARK) + _DIGITS])
