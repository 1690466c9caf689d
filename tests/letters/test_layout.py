"""The stored form is a format: two versions read it at once, and sockets get its bytes."""

from __future__ import annotations

import base64
import contextlib
import random
import re
import zlib
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relay
from relay.letters import layout
from relay.letters.layout import BadLetter, Members, Sealed

ID = "0123456789abcdef-1764550000000-12"
HEAD = b'"inbox":"a@b.test","originalInbox":"a@b.test","domain":"b.test",'
LUA = Path(relay.__file__).parent / "letters" / "lua" / "row.lua"
TEXT = " ".join(f"word{number}" for number in range(500))
JSON = st.dictionaries(st.text(max_size=5), st.text() | st.integers(-5, 5) | st.none(), max_size=5)


def inflated(payload: bytes) -> bytes:
    """As a client does it, RFC 7692 section 7.2.2."""
    return zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")


def test_the_order_is_a_format() -> None:
    """These very bytes lie in the Redis of somebody. A change needs a form of its own."""
    assert layout.head("a@b.test") == HEAD
    assert layout.FIELDS == ("o", "e", "b", "r")
    value = Members.seal(b'{"subject":"x"}').to(layout.head("a@b.test"))
    assert value == b"\x01\x00\x40\x00\x00\x00\x0e" + HEAD + b'"subject":"x"}'
    row = layout.row({"subject": "x", "raw": "r", "headers": {}, "text": "t", "html": "h"}, 7)
    assert row.stored == b'"subject":"x","octets":7}'
    deflated = b"\x02\x00\x40\x00\x00\x00\x0e" + HEAD + zlib.compress(b'"subject":"x"}', wbits=-15)
    assert Sealed.parse(deflated).json(ID) == Sealed.parse(value).json(ID)


def test_lua_knows_the_places_of_the_fields() -> None:
    [(names, places)] = re.findall(r"^local ([A-Z, ]+) = ([0-9, ]+)$", LUA.read_text(), re.MULTILINE)
    assert [int(place) for place in places.split(", ")] == [2 * at for at, _ in enumerate(layout.FIELDS, start=1)]
    assert names == "OWNER, EPOCH, BYTES, SHOWN"


@given(JSON, st.booleans())
def test_what_was_sealed_is_the_message(shape: dict[str, object], large: bool) -> None:
    shape = {"x": TEXT if large else "", **shape}
    json = orjson.dumps(shape)
    sealed = Sealed.parse(Members.seal(json).to(HEAD))
    assert orjson.loads(sealed.json(ID)) == {"_id": ID, **orjson.loads(b"{" + HEAD[:-1] + b"}"), **shape}
    assert len(sealed.json(ID)) == layout.json_bytes(sealed, ID)
    assert sealed.without_id() == b"{" + HEAD + json[1:]


@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b'{"status":200,"email":', b"}")])
def test_the_same_bytes_are_a_compressed_message(before: bytes, after: bytes) -> None:
    members = Members.seal(orjson.dumps({"text": TEXT}))
    sealed = Sealed.parse(members.to(HEAD))
    payload = sealed.deflated(ID, before, after)
    assert payload is not None
    assert inflated(payload) == before + sealed.json(ID) + after
    assert members.stored.removesuffix(b"\x00\x00\xff\xff") in payload


def test_what_would_not_become_smaller_is_plain() -> None:
    for json in (b'{"x":"short"}', b'{"x":"' + bytes(range(32, 34)) * 10 + b'"}'):
        sealed = Sealed.parse(Members.seal(json).to(HEAD))
        assert (sealed.form, sealed.deflated(ID)) == (1, None)


@pytest.mark.parametrize(("text_share", "form"), [(0.0, 1), (0.5, 2)])
def test_a_large_letter_is_deflated_when_it_becomes_much_smaller(text_share: float, form: int) -> None:
    """Base64 does not: to inflate it at every process costs more than the quarter that it would save."""
    size = 400_000
    file = base64.b64encode(random.Random(1).randbytes(int(size * 0.75 * (1 - text_share))))
    text = (TEXT * (size // len(TEXT) + 1))[: int(size * text_share)]
    members = orjson.dumps({"raw": file.decode(), "text": text})
    value = Members.seal(members)
    assert value.form == form
    assert Sealed.parse(value.to(HEAD)).json(ID).endswith(members[1:])


def test_rows_show_no_bodies_and_nothing_of_ours() -> None:
    shape = {"subject": "x", "raw": "r", "rawEncoding": "latin1", "headers": {}, "text": "t", "html": "h"}
    row = layout.row(shape, 7).to(HEAD)
    assert layout.shown(row, ID) == {"_id": ID, **orjson.loads(b"{" + HEAD[:-1] + b"}"), "subject": "x"}
    letter = Members.seal(orjson.dumps(shape)).to(HEAD)
    assert layout.shown(letter, ID) == layout.shown(row, ID)


@pytest.mark.parametrize(
    ("raw", "octets"), [(b"a\r\nb\r\n", 6), (b"a\nb\n", 6), (b"a", 3), (b"", 2), (b"a\r\n\nb", 8)]
)
def test_octets_are_counted_with_whole_line_ends(raw: bytes, octets: int) -> None:
    assert layout.octets(raw) == octets


@given(st.binary() | st.binary().map(b"\x02\x00\x00\x00\x00\x00\x10".__add__))
def test_any_bytes_are_a_letter_or_refused(value: bytes) -> None:
    with contextlib.suppress(BadLetter):
        layout.shown(value, ID)


def test_a_letter_of_version_0_2_is_read() -> None:
    sealed = Sealed.parse(b'{"_id":"%b",%b"subject":"x"}' % (ID.encode(), HEAD))
    assert orjson.loads(sealed.json(ID))["subject"] == "x"
    assert sealed.deflated(ID) is None
