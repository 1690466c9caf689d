"""The message JSON shape: Mailsac's, as its WebSocket prints it, and the one that every listener receives.

Nobody after :func:`encode` makes its bytes again: they travel compressed through Redis to every socket.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from relay.letters.layout import Members, head, octets, row


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """An address of a header field, RFC 5322 section 3.4; ``name`` is "" when the header gives none."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """A member of the message that does not have everything that the mail has."""

    what: str  # name of the member
    kept: int
    of: int  # entries (of the subject: characters) in the mail


class Message(NamedTuple):
    """One mail, as far as it is the same for all its recipients; :func:`address` adds the rest.

    A tuple, because a frozen dataclass of so many fields takes half as long to make as the JSON.
    """

    received: datetime  # aware; when the mail reached its receiving server
    raw: bytes  # the very bytes that came
    sender: tuple[EmailAddress, ...] = ()
    to: tuple[EmailAddress, ...] = ()
    cc: tuple[EmailAddress, ...] = ()
    bcc: tuple[EmailAddress, ...] = ()
    subject: str = ""
    headers: tuple[tuple[str, str], ...] = ()  # in order; lower-case names, unfolded values
    text: str = ""
    html: str = ""
    attachments: tuple[str, ...] = ()  # MD5 of each attachment, lower-case hex
    links: tuple[str, ...] = ()
    ip: str = ""  # the SMTP client that handed the mail to via; "" = not known
    via: str = ""  # the receiving server; "" = not known
    rtls: bool = False  # received over TLS; False = no, or not known
    spam: float | None = None  # 0.0 to 1.0; None = not known
    raw_synthesized: bool = False  # raw was rebuilt from parsed fields: DKIM will not verify
    truncated: tuple[Cut, ...] = ()


class Encoded(NamedTuple):
    """A mail as it is kept, as far as that is the same for all its recipients."""

    row: Members
    letter: Members


class Kept(NamedTuple):
    """A mail for one inbox, as it is kept: two sealed values, see :mod:`relay.letters.layout`."""

    row: bytes
    letter: bytes


def encode(message: Message) -> Encoded:
    """Once for all recipients. Takes time with a large mail: most of it in C, without the GIL.

    ``raw`` is text that turns back into the original bytes: encode it as UTF-8, or as latin-1 when
    ``"rawEncoding": "latin1"`` stands beside it.
    """
    if len(message.raw) > _PIECES_FROM_BYTES:
        return _encode_pieces(message)
    raw, encoding = _raw_text(message.raw)
    shape = _shape(message, raw, encoding)
    return Encoded(row(shape, octets(message.raw)), Members.seal(orjson.dumps(shape)))


def _shape(message: Message, raw: str, encoding: Mapping[str, str]) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "to": _mailboxes(message.to),
        "from": _mailboxes(message.sender),
        "cc": _mailboxes(message.cc),
        "bcc": _mailboxes(message.bcc),
        "subject": message.subject,
        "received": _timestamp(message.received),
        "raw": raw,
        **encoding,
        "size": len(message.raw),
        "rtls": message.rtls,
        "ip": message.ip,
        "spam": message.spam,
        "headers": _headers(message.headers),
        "text": message.text,
        "html": message.html,
        "attachments": message.attachments or None,
        "links": message.links,
        "via": message.via,
    }
    if message.raw_synthesized:
        shape["rawSynthesized"] = True
    if message.truncated:
        shape["truncated"] = [{"what": cut.what, "kept": cut.kept, "of": cut.of} for cut in message.truncated]
    return shape


# A JSON text of a large mail, whole, takes up to twelve times its size, and as long as others may not wait.
_PIECES_FROM_BYTES = 512 * 1024
_PIECE = 256 * 1024  # bytes or characters


def _encode_pieces(message: Message) -> Encoded:
    """What :func:`encode` returns, piece by piece."""
    encoding = {} if _is_utf8(message.raw) else {"rawEncoding": "latin1"}
    shape = _shape(message, "", encoding)
    large = {
        "raw": lambda: _quoted(_raw_pieces(message.raw, latin1=bool(encoding))),
        "headers": lambda: _headers_json(shape["headers"]),
        "text": lambda: _quoted(_text_pieces(message.text)),
        "html": lambda: _quoted(_text_pieces(message.html)),
    }

    def pieces() -> Iterator[bytes]:
        begun = b""
        for name, value in shape.items():
            yield begun + b'"%b":' % name.encode()
            begun = b","
            if name in large:
                yield from large[name]()
            else:
                yield orjson.dumps(value)
        yield b"}"

    return Encoded(row(shape, octets(message.raw)), Members.seal_pieces(pieces, message.raw))


def _quoted(pieces: Iterator[str]) -> Iterator[bytes]:
    """A JSON string. orjson wants eight times the room of a string, and ends the process where there is none."""
    yield b'"'
    for piece in pieces:
        yield orjson.dumps(piece)[1:-1]
    yield b'"'


def _headers_json(headers: Mapping[str, str | list[str]]) -> Iterator[bytes]:
    begun = b"{"
    for name, values in headers.items():
        yield begun
        begun = b","
        yield from _quoted(_text_pieces(name))
        yield b":"
        if isinstance(values, str):
            yield from _quoted(_text_pieces(values))
            continue
        inside = b"["
        for value in values:
            yield inside
            inside = b","
            yield from _quoted(_text_pieces(value))
        yield b"]"
    yield b"{}" if begun == b"{" else b"}"


def _is_utf8(raw: bytes) -> bool:
    try:
        return all(True for _ in _raw_pieces(raw, latin1=False))
    except UnicodeDecodeError:
        return False


def _raw_pieces(raw: bytes, *, latin1: bool) -> Iterator[str]:
    """Raises UnicodeDecodeError: it is no UTF-8."""
    decoder = codecs.getincrementaldecoder("latin-1" if latin1 else "utf-8")()
    for start in range(0, len(raw), _PIECE):
        yield decoder.decode(raw[start : start + _PIECE])
    yield decoder.decode(b"", final=True)


def _text_pieces(text: str) -> Iterator[str]:
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))


def for_inbox(encoded: Encoded, inbox: str, original_inbox: str = "") -> Kept:
    """The mail for one inbox, see :func:`relay.letters.layout.head`.

    ``_id`` is in neither value: publish.lua gives it, in the step that keeps them.
    """
    recipient = head(inbox, original_inbox)
    return Kept(encoded.row.to(recipient), encoded.letter.to(recipient))


def raw_of(shape: Mapping[str, Any]) -> bytes:
    """The original bytes of a decoded message JSON: what :func:`encode` made ``raw`` and ``rawEncoding`` of."""
    return str(shape["raw"]).encode(shape.get("rawEncoding", "utf-8"))


def _raw_text(raw: bytes) -> tuple[str, dict[str, str]]:
    try:
        return raw.decode("utf-8"), {}
    except UnicodeDecodeError:
        return raw.decode("latin-1"), {"rawEncoding": "latin1"}


def _mailboxes(mailboxes: tuple[EmailAddress, ...]) -> list[dict[str, str]]:
    return [{"address": mailbox.address, "name": mailbox.name} for mailbox in mailboxes]


def _timestamp(moment: datetime) -> str:
    """By orjson to the second, which takes a fifth of isoformat's time."""
    utc = moment.astimezone(UTC)
    seconds = orjson.dumps(utc, option=orjson.OPT_OMIT_MICROSECONDS)[1:20].decode()
    return f"{seconds}.{utc.microsecond // 1000:03}Z"


def _headers(headers: tuple[tuple[str, str], ...]) -> dict[str, str | list[str]]:
    """A repeated header becomes a list, in the order of the message; the others stay plain text."""
    shape: dict[str, str | list[str]] = dict(headers)
    if len(shape) == len(headers):
        return shape
    shape = {}
    for name, value in headers:
        known = shape.get(name)
        if known is None:
            shape[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            shape[name] = [known, value]
    return shape
