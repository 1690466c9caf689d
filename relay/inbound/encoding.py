"""``Content-Encoding`` of a post: gzip and deflate are read, in pieces, so that the limits hold for what comes out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from relay.errors import BadRequest, UnsupportedEncoding

_PIECE_BYTES = 256 * 1024  # that come out at once: a chunk of 64 KiB may hold 64 MiB
_NAMES = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}  # RFC 9110 section 8.4.1
_GZIP_BITS = 16 + zlib.MAX_WBITS


def coding_of(values: list[str]) -> str:
    """``gzip``, ``deflate``, or "" for none. Raises UnsupportedEncoding."""
    named = [name for value in values for name in map(str.strip, value.lower().split(",")) if name]
    codings = [name for name in named if name != "identity"]
    if not codings:
        return ""
    if len(codings) == 1 and (known := _NAMES.get(codings[0])):
        return known
    raise UnsupportedEncoding("the Content-Encoding must be gzip or deflate, once, or none")


class Decoder:
    """Of one body."""

    def __init__(self, coding: str) -> None:
        """``coding``: gzip, or deflate."""
        self._coding = coding
        self._inflater = zlib.decompressobj(_GZIP_BITS) if coding == "gzip" else None
        self._first = b""  # of deflate, until it is known whether it has the header of zlib
        self._began = False

    def decode(self, chunk: bytes, *, last: bool) -> Iterator[bytes]:
        """What comes out of the next bytes, in pieces; who has enough asks for no more. Raises BadRequest."""
        self._began = self._began or bool(chunk)
        if self._inflater is None:
            self._first += chunk
            if len(self._first) < 2 and not last:
                return
            chunk, self._first = self._first, b""
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS if _has_zlib_header(chunk) else -zlib.MAX_WBITS)
        try:
            yield from self._inflate(chunk)
        except zlib.error:
            raise BadRequest(f"the body is not {self._coding}, as its Content-Encoding says") from None
        if last and self._began and not self._inflater.eof:
            raise BadRequest(f"the body ends before its {self._coding} does")

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        assert self._inflater is not None  # noqa: S101  # made before
        while data:
            if self._inflater.eof:
                if self._coding != "gzip":
                    raise zlib.error("bytes behind the end")
                self._inflater = zlib.decompressobj(_GZIP_BITS)  # RFC 1952 section 2.2: members follow each other
            if piece := self._inflater.decompress(data, _PIECE_BYTES):
                yield piece
            data = self._inflater.unconsumed_tail or self._inflater.unused_data


def _has_zlib_header(data: bytes) -> bool:
    """RFC 1950 section 2.2. Many send deflate without it."""
    return len(data) >= 2 and data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
