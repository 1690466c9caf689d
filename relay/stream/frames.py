"""What goes over the wire as text: a letter becomes each kind of frame at most once, for all sockets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import orjson

from relay.errors import Refused
from relay.hub import Letter

Format = Literal["message", "envelope"]
FORMATS: tuple[Format, ...] = ("message", "envelope")


def text(letter: Letter, frame_format: Format) -> str:
    """The letter's text frame: the bare message JSON, or Mailsac's ``{"status":200,"email":{…}}``."""
    made = letter.variants.get(frame_format)
    if made is None:
        made = letter.variants[frame_format] = _make(letter, frame_format).decode()
    return str(made)


def _make(letter: Letter, frame_format: Format) -> bytes:
    return letter.frame if frame_format == "message" else b'{"status":200,"email":%b}' % letter.frame


def listening(addresses: Iterable[str], domains: Iterable[str]) -> str:
    """The first frame of the envelope format."""
    return orjson.dumps(
        {"status": 200, "msg": "Listening", "addresses": sorted(addresses), "domains": sorted(domains)}
    ).decode()


def refusal(refused: Refused) -> str:
    """The control frame before a close: an object with ``status`` and no ``_id``."""
    return orjson.dumps({"status": refused.close.status, "error": refused.text}).decode()
