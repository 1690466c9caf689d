"""What a client sends on a listening socket: pongs, a close, or things that nobody asked for.

The bytes are parsed by websockets' sans-I/O protocol, so that every rule of RFC 6455 holds. Its parser weighs more than
all the rest of an idle socket, so it is made when bytes come, and dropped as soon as they end with a frame.
"""

from __future__ import annotations

import codecs
import logging
import struct
from typing import NamedTuple

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

MAX_CLIENT_BYTES = 4096  # of one message, inflated; clients have nothing to say here

_silent = logging.Logger("relay.stream.incoming", logging.CRITICAL)  # mistakes are answered, not logged


class Outcome(NamedTuple):
    """What to do after some bytes: send ``reply``; when ``code`` is not None, end the connection.

    ``code`` is the close code that the client sent, or, with ``mistake``, the one that its mistake is answered with.
    """

    reply: bytes
    code: int | None = None
    mistake: bool = False


class Incoming:
    """One client's bytes, from the first byte of a frame on; to be dropped when ``idle``."""

    def __init__(self, *, deflate: bool) -> None:
        """``deflate``: permessage-deflate was negotiated, without context takeover on either side."""
        self._rest = bytearray()  # the beginning of a frame; no longer than a frame may be
        self._protocol = Protocol(SERVER, state=OPEN, max_size=MAX_CLIENT_BYTES, logger=_silent)
        # Each message is inflated by itself, up to the limit and no further: a bomb does not go off.
        self._protocol.extensions = [PerMessageDeflate(True, True, 15, 15)] if deflate else []
        self._text: codecs.IncrementalDecoder | None = None  # of the text message that is coming in

    @property
    def idle(self) -> bool:
        """Whether no frame and no fragmented message is under way."""
        return not self._rest and self._protocol.current_size is None

    def receive(self, data: bytes) -> Outcome:
        """Takes bytes. After an outcome with a code there is nothing more to take."""
        self._rest += data
        reply = b""
        while end := _end_of_frame(
            self._rest
        ):  # one by one, so that the first mistake is the one that is answered
            outcome = self._take(bytes(self._rest[:end]))
            del self._rest[:end]
            reply += outcome.reply
            if outcome.code is not None:
                return outcome._replace(reply=reply)
        return Outcome(reply)

    def _take(self, data: bytes) -> Outcome:
        if _is_badly_measured(data):
            self._protocol.fail(CloseCode.PROTOCOL_ERROR, "a length must be written in the fewest bytes")
            return Outcome(b"".join(self._protocol.data_to_send()), CloseCode.PROTOCOL_ERROR, mistake=True)
        if data[0] & 0x0F == Opcode.CLOSE:
            # It may come between the fragments of a message, RFC 6455 section 5.4. To websockets that is a mistake.
            self._protocol.current_size = None
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)  # noqa: S101  # the handshake is over
            if not self._is_text(event):
                self._protocol.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
        received, sent = self._protocol.close_rcvd, self._protocol.close_sent
        reply = b"".join(self._protocol.data_to_send())
        if received is not None and self._protocol.parser_exc is None:
            return Outcome(reply, received.code)
        return Outcome(reply, sent.code, mistake=True) if sent else Outcome(reply)

    def _is_text(self, frame: Frame) -> bool:
        """Whether a frame of a text message continues it as UTF-8, RFC 6455 section 8.1. True for all others."""
        if frame.opcode is Opcode.TEXT:
            self._text = codecs.getincrementaldecoder("utf-8")()
        if self._text is None or frame.opcode not in (Opcode.TEXT, Opcode.CONT):
            return True
        try:
            self._text.decode(frame.data, final=frame.fin)
        except UnicodeDecodeError:
            return False
        if frame.fin:
            self._text = None
        return True


def _is_badly_measured(data: bytes) -> bool:
    """Whether the length of a frame is not as RFC 6455 section 5.2 wants it: the fewest bytes, the highest bit 0."""
    written = data[1] & 0x7F if len(data) > 1 else 0
    if written == 126 and len(data) >= 4:
        return struct.unpack_from("!H", data, 2)[0] < 126  # type: ignore[no-any-return]
    if written == 127 and len(data) >= 10:
        return not 1 << 16 <= struct.unpack_from("!Q", data, 2)[0] < 1 << 63
    return False


def _end_of_frame(data: bytearray) -> int:
    """Where the first frame ends, 0 = not here; the end of all when its header is a mistake: it is refused by that."""
    if len(data) < 2:
        return 0
    masked, length = data[1] & 0x80, data[1] & 0x7F
    header = 2 + (2 if length == 126 else 8 if length == 127 else 0)
    if len(data) < header:
        return 0
    if length >= 126:
        (length,) = struct.unpack_from("!H" if length == 126 else "!Q", data, 2)
    if not masked or length > MAX_CLIENT_BYTES:
        return len(data)
    end = header + 4 + length
    return end if end <= len(data) else 0
