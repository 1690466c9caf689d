"""Forms as bytes: ``multipart/form-data`` (RFC 7578) and ``application/x-www-form-urlencoded``.

Starlette's own form layer caps a field at 1 MiB and decodes it, which cuts off and damages mail; providers need
the bytes. The caller has limited the body; here only the number of fields is.
"""

from __future__ import annotations

import re
from binascii import a2b_qp, unhexlify
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from relay.errors import BadRequest, UnsupportedMediaType
from relay.mime.headers import parameters

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # does not exist while running

_MAX_NAME_BYTES = 1024
_PIECE_BYTES = 256 * 1024
MAX_FIELDS = 2000  # a mail's headers as fields, and some hundred attachments; each costs about 1 KiB


@dataclass(frozen=True, slots=True)
class Field:
    """One form field; ``value`` holds its bytes as they came."""

    name: str
    value: bytes
    filename: str | None = None  # None: no file. "" is a file without a name
    content_type: str = ""  # of a multipart field; "" when it gives none


@dataclass(frozen=True, slots=True)
class Form:
    """Fields in order. Names are case-sensitive and may repeat."""

    fields: tuple[Field, ...]

    def all(self, name: str) -> list[Field]:
        """Every field of that name, in order."""
        return [field for field in self.fields if field.name == name]

    def last(self, name: str) -> bytes | None:
        """The last value of that name; None when there is none.

        The last counts because providers append their own fields (and signatures) to those of the mail.
        """
        found = self.all(name)
        return found[-1].value if found else None

    def text(self, name: str) -> str:
        """The last value of that name as UTF-8, trimmed; "" when there is none."""
        return _text(self.last(name) or b"").strip()

    def json(self, name: str) -> Any:
        """The last value of that name as JSON; None when there is none, or it is no JSON."""
        try:
            return orjson.loads(self.last(name) or b"null")
        except orjson.JSONDecodeError:
            return None


def parse_form(content_type: str, body: bytes, only: Container[str] | None = None) -> Form:
    """The form in a body; with ``only`` the fields of these names, for a proof that needs no others.

    Raises BadRequest (malformed) or UnsupportedMediaType (no form).
    """
    media_type, options = parse_options_header(content_type.encode("latin-1", "replace"))
    if media_type == b"application/x-www-form-urlencoded":
        return Form(tuple(_urlencoded(body, only)))
    if media_type == b"multipart/form-data":
        form = _multipart(options.get(b"boundary", b""), body)
        return form if only is None else Form(tuple(field for field in form.fields if field.name in only))
    raise UnsupportedMediaType("the Content-Type must be multipart/form-data or application/x-www-form-urlencoded")


def _urlencoded(body: bytes, only: Container[str] | None) -> Iterator[Field]:
    pairs = body.split(b"&", MAX_FIELDS) if body else []
    if len(pairs) > MAX_FIELDS:
        raise _too_many()
    for pair in pairs:
        encoded_name, _, value = pair.partition(b"=")
        name = _text(_unquote(encoded_name))
        if pair and (only is None or name in only):
            yield Field(name, _unquote(value))


@dataclass(frozen=True, slots=True)
class Span:
    """A field of an urlencoded form whose value has not been read."""

    name: str
    start: int  # of the value as it came
    end: int


def spans(body: bytes) -> list[Span]:
    """The fields of an urlencoded form, in order, without a copy of any value. Raises BadRequest: too many, or a name
    that is longer than any of a provider's."""
    found: list[Span] = []
    start = 0
    while start < len(body):
        end = body.find(b"&", start)
        end = len(body) if end < 0 else end
        equals = body.find(b"=", start, min(end, start + _MAX_NAME_BYTES))
        if equals < 0 and end - start >= _MAX_NAME_BYTES:
            raise BadRequest("the form has a field whose name is too long")
        if end > start:
            name_end = equals if equals >= 0 else end
            found.append(Span(_text(_unquote(body[start:name_end])), min(name_end + 1, end), end))
        if len(found) > MAX_FIELDS:
            raise _too_many()
        start = end + 1
    return found


def value_pieces(body: bytes, span: Span) -> Iterator[bytes]:
    """The value of a field, unquoted, piece by piece: to be hashed, it need never be whole."""
    start = span.start
    while start < span.end:
        cut = min(start + _PIECE_BYTES, span.end)
        if cut < span.end and (escape := body.rfind(b"%", cut - 2, cut)) > start:
            cut = escape  # not within it
        yield _unquote(body[start:cut])
        start = cut


# A run has its limit because the pattern remembers each escape of it; what is longer is several runs.
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2}){1,1000}")


def _unquote(value: bytes) -> bytes:
    if b"%" not in value:
        return value.replace(b"+", b" ")
    # Quoted-printable in other letters, which binascii reads in C. Each sound escape makes the value two bytes
    # shorter, a broken one less; only "=" before a line end would take away more.
    quoted = value.replace(b"+", b" ").replace(b"=", b"=3D").replace(b"%", b"=")
    if b"\n" not in quoted and b"\r" not in quoted:
        unquoted = a2b_qp(quoted)
        if len(unquoted) == len(quoted) - 2 * quoted.count(b"="):
            return unquoted
    return unquote_carefully(value)


def unquote_carefully(value: bytes) -> bytes:
    """The value with its escapes decoded and broken ones kept; the short way for sound ones gives the same."""
    # By runs, because unquote_to_bytes works escape by escape: a body of "%" alone would take it 20 s.
    return _ESCAPES.sub(lambda run: unhexlify(run[0].replace(b"%", b"")), value.replace(b"+", b" "))


def _multipart(boundary: bytes, body: bytes) -> Form:
    if not boundary or len(boundary) > 200:  # RFC 2046 allows 70
        raise BadRequest("the Content-Type names no usable multipart boundary")
    return _plain_multipart(boundary, body) or multipart_carefully(boundary, body)


# The head of a part as nearly every client writes it: nothing escaped, nothing beside the two headers.
_PLAIN_HEAD = re.compile(
    rb'\r\nContent-Disposition: form-data; name="([^"\\\x00-\x1f]{0,200})"(?:; filename="([^"\\\x00-\x1f]{0,500})")?'
    rb"(?:\r\nContent-Type: ([!-~](?:[ -~]{0,200}[!-~])?))?\r\n\r\n"
)


def _plain_multipart(boundary: bytes, body: bytes) -> Form | None:
    """The form when all of it is plain: a sixth of the parser's time. None: read it carefully."""
    first, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_FIELDS + 2)
    if first or not parts or parts.pop() not in (b"--", b"--\r\n"):
        return None
    fields: list[Field] = []
    for part in parts:
        head = _PLAIN_HEAD.match(part)
        if head is None:
            return None
        name, filename, kind = head.groups()
        fields.append(
            Field(
                _text(name), part[head.end() :], None if filename is None else _text(filename), _text(kind or b"")
            )
        )
    return Form(tuple(fields)) if len(fields) <= MAX_FIELDS else None


def multipart_carefully(boundary: bytes, body: bytes) -> Form:
    """The form by the parser, whatever it holds. Raises BadRequest."""
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as exc:
        raise BadRequest("the multipart form is malformed") from exc
    if not parts.ended:
        raise BadRequest("the multipart form ends before its closing boundary")
    return Form(tuple(parts.fields))


@dataclass(slots=True)
class _Parts:
    """Collects what the parser reports. Data comes as slices of one buffer, so a part is joined once."""

    fields: list[Field] = field(default_factory=list)
    ended: bool = False
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _name: list[bytes] = field(default_factory=list)
    _value: list[bytes] = field(default_factory=list)
    _data: list[bytes] = field(default_factory=list)

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.append(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.append(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.append(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        if len(self.fields) >= MAX_FIELDS:
            raise _too_many()
        self._headers, self._data = {}, []

    def _end_header(self) -> None:
        self._headers[b"".join(self._name).lower()] = b"".join(self._value)
        self._name, self._value = [], []

    def _end(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        if b"name" not in options:
            raise BadRequest("a part of the multipart form has no name")
        # RFC 7578 forbids filename* in forms; clients send it all the same, and a file must not look like a field.
        filename = options.get(b"filename", parameters(disposition).get(b"filename"))
        self.fields.append(
            Field(
                name=_text(options[b"name"]),
                value=b"".join(self._data),
                filename=None if filename is None else _text(filename),
                content_type=_text(self._headers.get(b"content-type", b"")),
            )
        )

    def _finish(self) -> None:
        self.ended = True


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _too_many() -> BadRequest:
    return BadRequest(f"the form has more than {MAX_FIELDS} fields")
