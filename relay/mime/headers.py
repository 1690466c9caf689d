"""The header block of a mail or of a part: fields, parameters and encoded words.

Fields stay bytes here, because a boundary is bytes and a charset is a property of one value, not of a block.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from relay.mime.charset import decode

# RFC 5322 section 2.2: a field name is printable US-ASCII without colon; 4.5.1 lets white space precede the colon.
_STARTS = re.compile(rb"([!-9;-~]++)[ \t]*+:")
# Where a field ends. It is searched for, because a pattern of the whole field would remember each of its folds.
_FIELD_END = re.compile(rb"\n(?![ \t])")
_PLAIN_NAME = re.compile(rb"[!-9;-~]{1,64}")
FOLD = re.compile(rb"\r?\n[ \t]+")
# What begins with a literal is found ten times as fast.
_CRLF_FOLD = re.compile(rb"\r\n[ \t]+")
_LF_FOLD = re.compile(rb"\n[ \t]+")
_EMPTY_LINE = re.compile(rb"\n\r?\n")

# Real mails have under 300. A hostile one of 25 MB could hold eight million "a:" lines, which would cost seconds
# here and again in every reader of the JSON.
MAX_FIELDS = 10_000
# Postfix's header_size_limit: longer fields are kept as they came, but only so much of them is decoded.
MAX_DECODED = 102_400


class Block(NamedTuple):
    """Fields in order, names lower-case, values unfolded and trimmed."""

    fields: list[tuple[str, bytes]]
    body: int  # the offset behind the block
    left_out: int = 0  # fields beyond MAX_FIELDS

    def firsts(self) -> dict[str, bytes]:
        """Value of the first field of each name."""
        return dict(reversed(self.fields))


def begins(raw: bytes) -> bool:
    """Whether the bytes begin with ``name:``."""
    return _STARTS.match(raw) is not None


def split(raw: bytes, start: int, end: int) -> Block:
    """The block at ``start``; it ends at the first empty line, or where the lines stop to look like fields.

    One line without a colon between two fields is skipped (a mailer's wrapped line without its white space);
    anywhere else it is the first line of a body whose empty line is missing.
    """
    stop, body = empty_line(raw, start, end)
    fields = _plain(raw[start:stop])
    return split_carefully(raw, start, end) if fields is None else Block(fields, body)


def _plain(block: bytes) -> list[tuple[str, bytes]] | None:
    """The fields of a block in which every line begins a field or goes on with one; None for any other.

    Nearly every mail has such a block, and three calls for all of its lines take a third of a regex's time.
    """
    lines = unfold(block).split(b"\n", MAX_FIELDS)
    if not lines[-1]:
        lines.pop()
    if len(lines) > MAX_FIELDS:
        return None
    try:
        return [(_name(name), value.strip()) for name, value in [line.split(b":", 1) for line in lines]]
    except ValueError:  # no colon, or no name in front of it
        return None


@lru_cache(maxsize=1024)  # mail has the same names again and again
def _name(name: bytes) -> str:
    if _PLAIN_NAME.fullmatch(name) is None:
        raise ValueError(name)
    return name.decode("ascii").lower()


def split_carefully(raw: bytes, start: int, end: int) -> Block:
    """What :func:`split` returns, in four times the time: line by line, for blocks with anything odd in them."""
    stop, body = empty_line(raw, start, end)
    fields: list[tuple[str, bytes]] = []
    position = start
    while position < stop and len(fields) < MAX_FIELDS:
        if name := _STARTS.match(raw, position, stop):
            found = _FIELD_END.search(raw, name.end(), stop)
            line_end = found.start() if found else stop
            value = raw[name.end() : line_end]
            fields.append((name[1].decode("ascii").lower(), (unfold(value) if b"\n" in value else value).strip()))
        else:
            line_end = _line_end(raw, position, stop)
            if raw[position:line_end] != b"\r" and not _STARTS.match(raw, line_end + 1, stop):
                return Block(fields, position)
        position = line_end + 1
    return Block(fields, body, _fields_in(raw[position:stop]))


def _fields_in(lines: bytes) -> int:
    """By their lines, those of folds left out."""
    folds = lines.count(b"\n ") + lines.count(b"\n\t")
    return lines.count(b"\n") - folds + (not lines.endswith(b"\n")) if lines else 0


def _line_end(raw: bytes, start: int, end: int) -> int:
    found = raw.find(b"\n", start, end)
    return end if found < 0 else found


def empty_line(raw: bytes, start: int, end: int) -> tuple[int, int]:
    """Where the block stops, and where the body begins; both ``end`` when there is no empty line."""
    if raw.startswith(b"\r\n", start, end):
        return start, start + 2
    if raw.startswith(b"\n", start, end):
        return start, start + 1
    found = _EMPTY_LINE.search(raw, start, end)
    return (found.start() + 1, found.end()) if found else (end, end)


def unfold(value: bytes) -> bytes:
    """Each fold as one blank, as ``FOLD`` says it. There must be no empty line in ``value``."""
    if len(value) <= _PIECE_BYTES:
        return _unfold(value)
    pieces: list[bytes] = []  # a substitution remembers each of its places
    start = 0
    while start < len(value):
        inside = _NOT_BLANK.search(value, start + _PIECE_BYTES)  # no fold goes on behind it
        end = inside.start() if inside else len(value)
        pieces.append(_unfold(value[start:end]))
        start = end
    return b"".join(pieces)


_PIECE_BYTES = 64 * 1024
_NOT_BLANK = re.compile(rb"[^ \t\r\n]")


def _unfold(value: bytes) -> bytes:
    if b"\r" not in value:
        return _LF_FOLD.sub(b" ", value)
    unfolded = _CRLF_FOLD.sub(b" ", value)
    return unfolded if _LF_FOLD.search(unfolded) is None else FOLD.sub(b" ", value)


def texts(block: Block) -> list[tuple[str, str]]:
    """The block's fields with each value as :func:`text`."""
    try:
        return [(name, value.decode()) for name, value in block.fields]
    except UnicodeDecodeError:
        return [(name, text(value)) for name, value in block.fields]


def text(value: bytes) -> str:
    """A field's value as it came: UTF-8 (RFC 6532), or latin-1, which maps every byte and can be undone."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


# No repeat here can match the same text in a second way, so that what fails fails once: linear.
_PARAMETER = re.compile(
    rb';\s*+([^\s=;*]++)(?:\*(\d{1,3}))?(\*?)\s*+=\s*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*)"?|([^;]*+))', re.DOTALL
)
# One parameter and nothing behind it, as nearly every field has: what _PARAMETER finds there, in one step.
_ONE_PARAMETER = re.compile(rb'[^;]*+;\s*+([^\s=;*]++)=(?:"([^"\\]*+)"|([^\s;"]++))')
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def parameters(value: bytes) -> dict[bytes, bytes]:
    """The parameters of Content-Type and Content-Disposition, names lower-case; the first of a name counts.

    RFC 2045 section 5.1, and RFC 2231: sections are joined in the order of their numbers, percent signs decoded,
    the charset in front dropped. An unquoted value reaches to the next ";": boundaries hold forbidden characters.
    Only the first ``MAX_DECODED`` bytes are read.
    """
    value = value[:MAX_DECODED]
    if b";" not in value:
        return {}
    if (one := _ONE_PARAMETER.fullmatch(value)) is not None:
        name, quoted, plain = one.groups()
        return {name.lower(): plain if quoted is None else quoted}
    return parameters_carefully(value)


def parameters_carefully(value: bytes) -> dict[bytes, bytes]:
    """What :func:`parameters` returns, for more than one parameter, or an odd one."""
    sections: dict[bytes, dict[int, bytes]] = {}
    for name, number, extended, quoted, plain in _PARAMETER.findall(value):
        piece = _ESCAPED.sub(rb"\1", quoted) if quoted else plain.strip()
        order = int(number or 0)
        if extended:
            piece = unquote_to_bytes(piece if order else piece.split(b"'", 2)[-1])
        sections.setdefault(name.lower(), {}).setdefault(order, piece)
    return {name: b"".join(pieces[order] for order in sorted(pieces)) for name, pieces in sections.items()}


# RFC 2047 section 2, with the spaces and question marks inside that are forbidden there and seen in mail. The text
# holds no "=?" but in "=?=" (padding, then the end), so that a search for the end stops at the next word at the
# latest: linear. One pattern of all would remember each "=" of the text.
_WORD = re.compile(r"=\?([^?*\s]{1,64}+)(?:\*[^?\s]{0,64}+)?\?([QqBb])\?")
_WORD_END = re.compile(r"\?=|=\?(?!=)")


def decode_words(value: str) -> str:
    """Encoded words decoded, RFC 2047; the white space between two of them goes (section 6.2), broken ones stay.

    Neighbours of one charset are joined as bytes first: mailers cut characters in two, against section 5.
    """
    if "=?" not in value:
        return value
    pieces: list[tuple[str, str | bytes]] = []  # (charset or "" for plain text, text or bytes)
    position = 0
    for head, end in _words(value):
        word = _word(head[2], value[head.end() : end.start()])
        if word is None:
            continue
        between = value[position : head.start()]
        if between and not (pieces and between.isspace()):
            pieces.append(("", between))
        pieces.append((head[1].lower(), word))
        position = end.end()
    pieces.append(("", value[position:]))
    return "".join(_joined(charset, [piece for _, piece in run]) for charset, run in groupby(pieces, _charset))


def _words(value: str) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """What each encoded word begins with, and what it ends with; the text is between."""
    position = 0
    while (head := _WORD.search(value, position)) and (end := _WORD_END.search(value, head.end())):
        if end[0] == "?=":
            yield head, end
            position = end.end()
        else:
            position = head.end()


def _charset(piece: tuple[str, str | bytes]) -> str:
    return piece[0]


def _joined(charset: str, pieces: list[str | bytes]) -> str:
    if not charset:
        return "".join(piece for piece in pieces if isinstance(piece, str))
    return decode(b"".join(piece for piece in pieces if isinstance(piece, bytes)), charset)


def _word(encoding: str, content: str) -> bytes | None:
    """The bytes of one encoded word; None when it is broken: it then stays as it came."""
    if not content.isascii():
        return None
    if encoding in "qQ":
        return binascii.a2b_qp(content, header=True)
    try:  # section 5: "=" may be missing in the wild, so it is added; three too many are ignored
        return binascii.a2b_base64(content.rstrip("=") + "===", strict_mode=False) if _BASE64(content) else None
    except binascii.Error:
        return None


_BASE64 = re.compile(r"[A-Za-z0-9+/]*+={0,3}").fullmatch
