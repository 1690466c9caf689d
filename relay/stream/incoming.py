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

    ``code`` is the close code that the client sent, or the one that its mistake is answered with.
    """

    reply: bytes
    code: int | None


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
        end = _end_of_frames(self._rest)
        self._protocol.receive_data(bytes(self._rest[:end]))
        del self._rest[:end]
        code: int | None = None
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)  # noqa: S101  # the handshake is over
            if event.opcode is Opcode.CLOSE and self._protocol.close_rcvd:
                code = self._protocol.close_rcvd.code
            elif not self._is_text(event):
                self._protocol.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
        if self._protocol.close_sent and code is None:
            code = self._protocol.close_sent.code
        return Outcome(b"".join(self._protocol.data_to_send()), code)

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


def _end_of_frames(data: bytearray) -> int:
    """Where the last whole frame ends; the end of everything when a header shows a mistake: it is refused by that."""
    end = 0
    while len(data) - end >= 2:
        masked, length = data[end + 1] & 0x80, data[end + 1] & 0x7F
        header = 2 + (2 if length == 126 else 8 if length == 127 else 0)
        if len(data) - end < header:
            break
        if length >= 126:
            (length,) = struct.unpack_from("!H" if length == 126 else "!Q", data, end + 2)
        if not masked or length > MAX_CLIENT_BYTES:
            return len(data)
        if len(data) - end < header + 4 + length:
            break
        end += header + 4 + length
    return end
