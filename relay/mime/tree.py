"""The MIME tree of a mail -> its leaves, transfer-decoded; RFC 2045, RFC 2046. Total: always at least one leaf.

The walk is ours and not fast-mail-parser's, because that one (0.10, measured) takes "--bx" for the boundary "b",
loses a multipart whose boundary never comes, drops 8-bit bytes and turns LF into CRLF in quoted-printable, and
stops reading fields at the first broken line. Its base64 decoder is far faster than binascii, so we use that.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from fast_mail_parser import ParseError, parse_email_tree

from relay.mime import headers

# Postfix's mime_nesting_limit is 100, and each level costs one search through what it holds; nobody nests 32.
# A deeper multipart is one attachment.
MAX_DEPTH = 32
# As in Go's mime/multipart. A mail of "--b" lines would have millions; the last part takes what is left.
MAX_PARTS = 1_000


class Leaf(NamedTuple):
    """A part that is no multipart. ``content`` is transfer-decoded; "" stands for what is absent."""

    kind: str  # "text/plain", lower-case
    charset: str
    attached: bool  # Content-Disposition: attachment, or a file name inside a multipart
    content: bytes


class _Part(NamedTuple):
    start: int
    end: int
    depth: int
    default: str  # its type when it has no Content-Type


def leaves(raw: bytes, block: headers.Block) -> Iterator[Leaf]:
    """The leaves below ``block``, in the order of the mail; message/rfc822 is a leaf. At most ``MAX_PARTS``."""
    waiting = [(_Part(block.body, len(raw), 0, "text/plain"), block)]
    left = MAX_PARTS
    while waiting:
        part, block = waiting.pop()
        kind, parameters = content_type(block.first(b"content-type"), part.default)
        boundary = parameters.get(b"boundary", b"").rstrip() if kind.startswith("multipart/") else b""
        inner = _split(raw, part, boundary, kind, left) if boundary and part.depth < MAX_DEPTH else []
        if not inner:
            yield _leaf(raw, part, block, kind, parameters)
            continue
        left -= len(inner) - 1
        for child in reversed(inner):
            head = headers.split(raw, child.start, child.end)
            waiting.append((child._replace(start=head.body), head))


def content_type(value: bytes, default: str) -> tuple[str, dict[bytes, bytes]]:
    """``type/subtype`` in lower case and the parameters; text/plain for what is none, RFC 2045 section 5.2."""
    if not value:
        return default, {}
    match = _TYPE.match(value)
    return (match[0].decode("ascii").lower() if match else "text/plain"), headers.parameters(value)


_TYPE = re.compile(rb"[!#-'*+.0-9A-Z^_`a-z{|}~-]+/[!#-'*+.0-9A-Z^_`a-z{|}~-]+")
_LINE_END = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\r?\Z)")


def _split(raw: bytes, part: _Part, boundary: bytes, kind: str, limit: int) -> list[_Part]:
    """The parts between delimiter lines, RFC 2046 section 5.1.1, no preamble, no epilogue; [] when none comes."""
    inner: list[_Part] = []
    default = "message/rfc822" if kind == "multipart/digest" else "text/plain"
    start = -1
    for before, after, closing in _delimiters(raw, part, b"--" + boundary):
        if start >= 0:
            inner.append(_Part(start, max(start, before), part.depth + 1, default))
        if closing:
            return inner
        start = after
        if len(inner) >= limit - 1:
            break
    if start >= 0:
        inner.append(_Part(start, part.end, part.depth + 1, default))
    return inner


def _delimiters(raw: bytes, part: _Part, delimiter: bytes) -> Iterator[tuple[int, int, bool]]:
    """End of the part before, start of the one after, whether it closes; the line end before it belongs to it."""
    position = part.start
    while (found := raw.find(delimiter, position, part.end)) >= 0:
        position = found + len(delimiter)
        if found != part.start and raw[found - 1] != 10:
            continue
        line_end = _LINE_END.match(raw, position, part.end)
        if line_end is None:
            continue
        before = found - 1
        if raw.startswith(b"\r\n", found - 2):
            before -= 1
        position = line_end.end()
        yield before, position, line_end[1] is not None


def _leaf(raw: bytes, part: _Part, block: headers.Block, kind: str, parameters: dict[bytes, bytes]) -> Leaf:
    disposition = block.first(b"content-disposition")
    attached = disposition[:10].lower() == b"attachment"
    if part.depth and not attached:
        attached = bool(headers.parameters(disposition).get(b"filename") or parameters.get(b"name"))
    content = _decoded(raw[part.start : part.end], block.first(b"content-transfer-encoding"))
    if kind.startswith("multipart/") and part.depth < MAX_DEPTH:
        kind = "text/plain"  # its boundary is missing or never comes: rather show it than hide it
    words = parameters.get(b"charset", b"").split()
    return Leaf(kind, words[0].decode("latin-1") if words else "", attached, content)


def _decoded(body: bytes, encoding: bytes) -> bytes:
    """The body without its Content-Transfer-Encoding, RFC 2045 section 6; an unknown one means as it is."""
    match encoding.lower():
        case b"" | b"7bit" | b"8bit" | b"binary":
            return body
        case b"base64":
            return _base64(body)
        case b"quoted-printable":
            return _quoted_printable(body)
        case b"x-uuencode" | b"uuencode" | b"x-uue" | b"uue":
            return _uuencoded(body)
        case other:  # "base64;" or "base64 (comment)"
            word = _TOKEN.match(other)
            return body if word is None or word[0] == other else _decoded(body, word[0])


_TOKEN = re.compile(rb"[a-z0-9-]+")


def _base64(body: bytes) -> bytes:
    """RFC 2045 section 6.8. fast-mail-parser wants it clean; else what can be decoded up to the first padding.

    What follows padding in unclean text is a footer that a mailing list put there.
    """
    try:
        content = parse_email_tree(b"Content-Transfer-Encoding: base64\n\n" + body).content
    except ParseError:
        content = None
    except BaseException as panic:  # pyo3's PanicException is no Exception and cannot be imported
        if type(panic).__name__ != "PanicException":
            raise
        content = None
    return _lenient_base64(body) if content is None else content


_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def _lenient_base64(body: bytes) -> bytes:
    digits = body.partition(b"=")[0].translate(None, _NOT_BASE64)
    if len(digits) % 4 == 1:
        digits = digits[:-1]  # six bits make no byte
    return binascii.a2b_base64(digits + b"==")


# Behind the first blank of a run only, else a run of n blanks would cost n*n/2 steps.
_BLANK_END = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")


def _quoted_printable(body: bytes) -> bytes:
    """RFC 2045 section 6.7: blanks at a line's end were added on the way and go (rule 3); broken escapes stay."""
    if b" \n" in body or b" \r" in body or b"\t" in body or body.endswith(b" "):
        body = _BLANK_END.sub(b"", body)
    return binascii.a2b_qp(body)


def _uuencoded(body: bytes) -> bytes:
    """Between ``begin`` and ``end`` as POSIX uuencode writes it; lines that do not decode are left out."""
    lines = iter(body.splitlines())
    if not any(line.startswith(b"begin ") for line in lines):
        return body
    content: list[bytes] = []
    for line in lines:
        if line.strip() == b"end":
            break
        with suppress(binascii.Error):
            content.append(_uu_line(line))
    return b"".join(content)


def _uu_line(line: bytes) -> bytes:
    """At most what its length in front says (some encoders put a checksum behind), and never more than it holds:
    binascii fills up with zeros, so that a mail of one-letter lines would grow by twenty."""
    size = (line[0] - 32 & 63) if line else 0
    return binascii.a2b_uu(line[: 1 + (size + 2) // 3 * 4])[: len(line) * 3 // 4]
