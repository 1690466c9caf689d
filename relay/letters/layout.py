"""What the stored bytes of a mail mean. This is a format: processes of two versions read it at once
(docs/decisions/0007).

A mail is kept as two values, both *sealed* in the same way: the row of its inbox's index, which has what lists show,
and the letter, which has everything. A sealed value is, with its numbers in network byte order:

    1 byte   form: 1 = the members are plain, 2 = they are deflated, 3 = there are none, because they would make
             the row too large: see the letter
    2 bytes  length of the head
    4 bytes  length of the members, inflated
    head     JSON members that name the recipient: "inbox":"…","originalInbox":"…","domain":"…",
    members  the JSON members that are the same for all recipients, and the brace that ends the object

``{"_id":"<_id>",`` before head and members makes the message JSON. Deflated members are raw deflate (RFC 1951) that
ends in a sync flush and refers to nothing before it: so the same bytes are a part of a compressed WebSocket message,
after a stored block with what stands before them (RFC 7692 section 7.2.3.6 allows any blocks).

Version 0.2 kept the message JSON itself; it begins with a brace, which no form does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from isal import isal_zlib
from isal.igzip_lib import IsalError

from relay.address import domain_of

_PLAIN, _DEFLATED, _IN_LETTER = 1, 2, 3
_HEADER = struct.Struct("!BHI")
_OLD_FORM = b"{"
_ID = b'{"_id":"'
# isal at level 2 makes mail as small as zlib at level 6, in a third to an eighth of its time.
_LEVEL = 2
_LEAST_BYTES = 400  # what is smaller does not become small enough to be worth it
# Base64 keeps three quarters of its size, and takes ten times as long as text to inflate at every process. So samples
# tell whether most of a large mail is of that kind.
_SAMPLED_FROM_BYTES, _SAMPLE_BYTES, _SAMPLES, _WORTH_IT = 256 * 1024, 8 * 1024, 8, 0.7
_SYNC_FLUSH_END = b"\x00\x00\xff\xff"  # RFC 7692 section 7.2.1 leaves it out
_EMPTY_BLOCK = b"\x00"  # the first byte of an empty stored block, which the receiver completes
# Scripts read rows, and each byte of them costs Redis' time. Some 600 recipients or links make a larger one.
_MAX_ROW_BYTES = 32 * 1024
_LARGEST_STORED = 65_535  # RFC 1951 section 3.2.4

# Of a row in the index: owner (account), epoch, bytes of row and letter, and the sealed row. Their order is that of
# the entry, and row.lua has their places.
FIELDS = ("o", "e", "b", "r")

# What lists do not show. A row has none of it.
BODIES = ("raw", "rawEncoding", "headers", "text", "html")
# What a row has beside what lists show.
NOT_SHOWN = ("octets",)


class BadLetter(ValueError):
    """The bytes are in no form that this version knows."""


class Members(NamedTuple):
    """The part of a sealed value that is the same for all recipients."""

    form: int
    stored: bytes  # plain, or deflated
    size_bytes: int  # inflated

    @classmethod
    def seal(cls, text: bytes, *, least_bytes: int = _LEAST_BYTES) -> Members:
        """``text`` is a JSON object, of which the first brace is left out; deflated from ``least_bytes`` on."""
        members = text[1:]
        if len(members) < least_bytes or not _shrinks(members):
            return cls(_PLAIN, members, len(members))
        stored = _deflate(members)
        if len(stored) >= len(members):
            return cls(_PLAIN, members, len(members))
        return cls(_DEFLATED, stored, len(members))

    @classmethod
    def seal_pieces(cls, pieces: Callable[[], Iterator[bytes]], sample: bytes) -> Members:
        """The same of a large object in pieces, which is never in memory as a whole unless it stays plain.

        ``pieces()`` gives the object without its first brace, each time it is called. ``sample``: most of its bytes,
        to tell whether they are worth deflating.
        """
        if not _shrinks(sample):
            members = b"".join(pieces())
            return cls(_PLAIN, members, len(members))
        compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
        deflated, size_bytes = bytearray(), 0
        for piece in pieces():
            size_bytes += len(piece)
            deflated += compressor.compress(piece)
        deflated += compressor.flush(isal_zlib.Z_SYNC_FLUSH)
        if len(deflated) >= size_bytes:
            return cls(_PLAIN, b"".join(pieces()), size_bytes)
        return cls(_DEFLATED, bytes(deflated), size_bytes)

    def to(self, head: bytes) -> bytes:
        """The sealed value for the recipient that ``head`` names, see :func:`head`."""
        return b"%b%b%b" % (_HEADER.pack(self.form, len(head), self.size_bytes), head, self.stored)


def _deflate(text: bytes) -> bytes:
    compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
    return bytes(compressor.compress(text) + compressor.flush(isal_zlib.Z_SYNC_FLUSH))


def _shrinks(text: bytes) -> bool:
    """Whether it is worth to deflate all of it."""
    if len(text) < _SAMPLED_FROM_BYTES:
        return True
    step = len(text) // _SAMPLES
    sample = b"".join(text[at : at + _SAMPLE_BYTES] for at in range(0, len(text) - step + 1, step))
    return len(_deflate(sample)) < _WORTH_IT * len(sample)


def head(inbox: str, original_inbox: str = "") -> bytes:
    """Names a recipient: ``inbox`` is the canonical address of the envelope recipient (RFC 5321 RCPT TO).

    ``original_inbox`` differs only when the mail was rerouted (alias, catch-all); "" = it was not.
    """
    envelope = {"inbox": inbox, "originalInbox": original_inbox or inbox, "domain": domain_of(inbox)}
    return orjson.dumps(envelope)[1:-1] + b","


def row(members: Mapping[str, Any], octets: int) -> Members:
    """What a row has of the members of a message JSON. ``octets``: see :func:`octets`."""
    shown = {name: value for name, value in members.items() if name not in BODIES}
    sealed = Members.seal(orjson.dumps(shown | {"octets": octets}))
    return sealed if len(sealed.stored) <= _MAX_ROW_BYTES else Members(_IN_LETTER, b"", 0)


def is_in_letter(row: bytes) -> bool:
    """Whether what lists show has to be read from the letter."""
    return row[:1] == b"%c" % _IN_LETTER


def octets(raw: bytes) -> int:
    """The size of a mail as RFC 1939 section 11 counts: a line end is two octets, and the last line has one."""
    return len(raw) + raw.count(b"\n") - raw.count(b"\r\n") + 2 * (not raw.endswith(b"\n"))


class Sealed(NamedTuple):
    """A row or a letter, as it was read."""

    form: int
    size_bytes: int  # of head and members, inflated
    head: bytes
    stored: bytes

    @classmethod
    def parse(cls, value: bytes) -> Sealed:
        """Raises BadLetter."""
        if is_old(value):
            return _old(value)
        try:
            form, head_bytes, members_bytes = _HEADER.unpack_from(value)
        except struct.error as exc:
            raise BadLetter("cut off") from exc
        start = _HEADER.size + head_bytes
        if form not in (_PLAIN, _DEFLATED, _IN_LETTER) or len(value) < start:
            raise BadLetter(f"form {form}")
        return cls(form, head_bytes + members_bytes, value[_HEADER.size : start], value[start:])

    @classmethod
    def parse_or_none(cls, value: bytes | None) -> Sealed | None:
        """None: there is nothing, or nothing that can be read."""
        try:
            return cls.parse(value) if value else None
        except BadLetter:
            return None

    def json(self, message_id: str) -> bytes:
        """The message JSON. Raises BadLetter: what was deflated is damaged."""
        members = self.stored
        if self.form == _DEFLATED:
            try:
                members = isal_zlib.decompressobj(-15).decompress(members)
            except IsalError as exc:  # type: ignore[misc]  # its stub is no class
                raise BadLetter("damaged") from exc
        return b'%b%b",%b%b' % (_ID, message_id.encode(), self.head, members)

    def without_id(self) -> bytes:
        """The message JSON without its ``_id``. Raises BadLetter."""
        return b"{" + self.json("")[len(_ID) + 2 :]

    def deflated(self, message_id: str, before: bytes = b"", after: bytes = b"") -> bytes | None:
        """The message JSON between two texts as the payload of a compressed WebSocket message, RFC 7692.

        None: it is not deflated, and not worth it.
        """
        first = b'%b%b%b",%b' % (before, _ID, message_id.encode(), self.head)
        if self.form != _DEFLATED or len(first) > _LARGEST_STORED:
            return None
        if after:
            return b"".join((_stored(first), self.stored, _stored(after), _EMPTY_BLOCK))
        return _stored(first) + self.stored.removesuffix(_SYNC_FLUSH_END)


def _stored(text: bytes) -> bytes:
    """A stored block, RFC 1951 section 3.2.4, at the beginning of a byte."""
    return struct.pack("<BHH", 0, len(text), len(text) ^ 0xFFFF) + text


def is_old(value: bytes) -> bool:
    """Whether it is the message JSON, as version 0.2 kept it."""
    return value.startswith(_OLD_FORM)


def _old(value: bytes) -> Sealed:
    """The message JSON as version 0.2 kept it. Its ``_id`` came first, and is left out."""
    end = value.find(b'",', len(_ID))
    if not value.startswith(_ID) or end < 0:
        raise BadLetter("no message JSON")
    rest = value[end + 2 :]
    return Sealed(_PLAIN, len(rest), b"", rest)


def json_bytes(sealed: Sealed, message_id: str) -> int:
    """The length of the message JSON, without making it."""
    return len(_ID) + len(message_id) + 2 + sealed.size_bytes


def shown(row: bytes, message_id: str) -> dict[str, Any]:
    """What lists show of a message, from its row or its letter. Raises BadLetter."""
    try:
        members: dict[str, Any] = orjson.loads(Sealed.parse(row).json(message_id))
    except orjson.JSONDecodeError as exc:
        raise BadLetter("no JSON") from exc
    for name in (*BODIES, *NOT_SHOWN):
        members.pop(name, None)
    return members
