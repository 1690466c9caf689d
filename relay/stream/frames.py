"""What goes over the wire: a letter becomes each kind of frame at most once, for all sockets.

A *variant* is the frame format, and whether the frame is compressed. The bytes of a variant are made when the first
socket asks for them, kept beside the letter, and shared: a delivery is then one write of ready bytes. Nothing is
compressed here: letters come compressed (relay/letters/layout.py), and are inflated once for the sockets that want it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Literal

import orjson

from relay.delivery.letter import Gap, Letter
from relay.errors import Close, Refused

Format = Literal["message", "envelope"]
FORMATS: tuple[Format, ...] = ("message", "envelope")
Variant = Literal["message", "envelope", "message+deflate", "envelope+deflate"]

# First byte of a frame, RFC 6455 section 5.2: FIN, and RSV1 where RFC 7692 marks a compressed message.
_FIN_TEXT = 0x81
_FIN_TEXT_COMPRESSED = 0xC1
_FIN_CLOSE = 0x88
_FIN = 0x80
_CONTINUATION = 0x00
PING = b"\x89\x00"
PONG_HEADER = 0x8A

_ENVELOPE = b'{"status":200,"email":'


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
    before, after = (b"", b"") if plain == "message" else (_ENVELOPE, b"}")
    if deflate and (payload := letter.sealed.deflated(str(letter.id), before, after)):
        return frame(_FIN_TEXT_COMPRESSED, payload)
    return frame(_FIN_TEXT, b"%b%b%b" % (before, letter.frame, after) if before else letter.frame)


def text(letter: Letter | Gap, frame_format: Format) -> str:
    """The letter's text for ASGI, which makes a frame of its own of it: the portable way."""
    if isinstance(letter, Gap):
        return gap(letter)
    payload = letter.frame.decode()
    return payload if frame_format == "message" else f"{_ENVELOPE.decode()}{payload}}}"


def frame(first: int, payload: bytes) -> bytes:
    """An unmasked frame, RFC 6455 section 5.2; ``first`` is its first byte."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def fragments(whole: bytes, fragment_bytes: int) -> Iterator[bytes]:
    """A frame of :func:`wire` in fragments of at most ``fragment_bytes`` of payload, RFC 6455 section 5.4.

    Control frames may be written between two of them. A compressed message is marked in its first alone (RFC 7692).
    """
    first = whole[0] & ~_FIN
    start = {126: 4, 127: 10}.get(whole[1], 2)
    while start < len(whole):
        end = min(start + fragment_bytes, len(whole))
        yield frame(first | (_FIN if end == len(whole) else 0), whole[start:end])
        start, first = end, _CONTINUATION


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
