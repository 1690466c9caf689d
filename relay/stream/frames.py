"""What goes over the wire: a letter becomes each kind of frame at most once, for all sockets.

A *variant* is the frame format, and whether the frame is compressed. The bytes of a variant are made when the first
socket asks for them, kept beside the letter, and shared: a delivery is then one write of ready bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Literal

import orjson
from isal import isal_zlib

from relay.delivery.letter import Gap, Letter
from relay.errors import Close, Refused

Format = Literal["message", "envelope"]
FORMATS: tuple[Format, ...] = ("message", "envelope")
Variant = Literal["message", "envelope", "message+deflate", "envelope+deflate"]

# First byte of a frame, RFC 6455 section 5.2: FIN, and RSV1 where RFC 7692 marks a compressed message.
_FIN_TEXT = 0x81
_FIN_TEXT_COMPRESSED = 0xC1
_FIN_CLOSE = 0x88
PING = b"\x89\x00"
PONG_HEADER = 0x8A

# A frame that fits into one TCP segment is not faster for being smaller; one of several MiB would hold up the loop
# (isal takes 2 ms a MiB), and consists of base64, of which deflate saves a quarter.
_DEFLATE_MIN_BYTES = 1400
_DEFLATE_MAX_BYTES = 1024 * 1024
# isal at level 2 makes mail as small as zlib at level 6, in a third to an eighth of its time: a 7.7 KB message becomes
# 0.32 of itself in 16 against 40 microseconds, one of 67 KB 0.38 in 143 against 1,224.
_DEFLATE_LEVEL = 2
_EMPTY_BLOCK = b"\x00\x00\xff\xff"  # ends a sync flush; RFC 7692 section 7.2.1 leaves it out


def variant(frame_format: Format, *, deflate: bool) -> Variant:
    """The variant for a socket; ``deflate`` when permessage-deflate was negotiated."""
    if frame_format == "message":
        return "message+deflate" if deflate else "message"
    return "envelope+deflate" if deflate else "envelope"


def format_of(known: Variant) -> Format:
    """The format of a variant."""
    return "envelope" if known.startswith("envelope") else "message"


def wire(letter: Letter | Gap, wanted: Variant) -> bytes:
    """The letter's whole frame, RFC 6455 header included."""
    made = letter.variants.get(wanted)
    if made is None:
        made = letter.variants[wanted] = _make(letter, wanted)
    return made


def _make(letter: Letter | Gap, wanted: Variant) -> bytes:
    if isinstance(letter, Gap):
        return control(gap(letter))
    plain, _, deflate = wanted.partition("+")
    payload = letter.frame if plain == "message" else b'{"status":200,"email":%b}' % letter.frame
    if deflate and _DEFLATE_MIN_BYTES <= len(payload) <= _DEFLATE_MAX_BYTES:
        return frame(_FIN_TEXT_COMPRESSED, _deflated(payload))
    return frame(_FIN_TEXT, payload)


def text(letter: Letter | Gap, frame_format: Format) -> str:
    """The letter's text for ASGI, which makes a frame of its own of it: the portable way."""
    if isinstance(letter, Gap):
        return gap(letter)
    payload = letter.frame.decode()
    return payload if frame_format == "message" else f'{{"status":200,"email":{payload}}}'


def _deflated(payload: bytes) -> bytes:
    """Compressed without context takeover: so one compressor serves one frame, and the frame serves all sockets."""
    compressor = isal_zlib.compressobj(_DEFLATE_LEVEL, isal_zlib.DEFLATED, -15)
    compressed: bytes = compressor.compress(payload) + compressor.flush(isal_zlib.Z_SYNC_FLUSH)
    return compressed.removesuffix(_EMPTY_BLOCK)


def frame(first: int, payload: bytes) -> bytes:
    """An unmasked frame, RFC 6455 section 5.2; ``first`` is its first byte."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def closing(close: Close) -> bytes:
    """The close frame."""
    return frame(_FIN_CLOSE, struct.pack("!H", close.code) + close.reason.encode())


def control(said: str) -> bytes:
    """A text frame with one of the texts below."""
    return frame(_FIN_TEXT, said.encode())


def listening(addresses: Iterable[str], domains: Iterable[str]) -> str:
    """The first frame of the envelope format."""
    return orjson.dumps(
        {"status": 200, "msg": "Listening", "addresses": sorted(addresses), "domains": sorted(domains)}
    ).decode()


def gap(told: Gap) -> str:
    """The control frame for messages that are missing; ``after`` and ``next`` are an ``_id`` or null."""
    after, following = (str(one) if one else None for one in (told.after, told.next))
    return orjson.dumps(
        {
            "status": 206,
            "msg": "Gap",
            "inbox": told.inbox,
            "after": after,
            "next": following,
            "reason": told.reason,
        }
    ).decode()


def refusal(refused: Refused) -> str:
    """The control frame before a close: an object with ``status`` and no ``_id``."""
    return orjson.dumps({"status": refused.close.status, "error": refused.text}).decode()
