"""Forms: every byte of every field as it came, or a refusal; never another error, never a long wait."""

from __future__ import annotations

from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.webhook.form import (
    MAX_FIELDS,
    Field,
    Form,
    multipart_carefully,
    parse_form,
    spans,
    unquote_carefully,
    value_pieces,
)
from relay.inbound.webhook.short_fields import find_short

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
EVERY_BYTE = bytes(range(256))


def urlencoded(body: bytes) -> list[tuple[str, bytes]]:
    return [(field.name, field.value) for field in parse_form(URLENCODED, body).fields]


def part(disposition: str | bytes, value: bytes = b"", *headers: bytes) -> bytes:
    disposition = disposition.encode() if isinstance(disposition, str) else disposition
    lines = (b"Content-Disposition: " + disposition, *headers, b"", value)
    return b"--b\r\n" + b"\r\n".join(lines) + b"\r\n"


def multipart(*parts: bytes) -> tuple[Field, ...]:
    return parse_form(MULTIPART, b"".join(parts) + b"--b--\r\n").fields


def refused(content_type: str, body: bytes) -> str:
    with pytest.raises(BadRequest) as refusal:
        parse_form(content_type, body)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", []),
        (b"a=1", [("a", b"1")]),
        (b"a=%E9&b=%FF%00%0D%0A", [("a", b"\xe9"), ("b", b"\xff\0\r\n")]),
        (b"a=one+two%2Bthree+", [("a", b"one two+three ")]),
        (b"a+b=1", [("a b", b"1")]),
        (b"a=1=2==", [("a", b"1=2==")]),
        (b"a&b=&=c&=", [("a", b""), ("b", b""), ("", b"c"), ("", b"")]),
        (b"&&a=1&&", [("a", b"1")]),
        (b"a=1&A=2&a=3", [("a", b"1"), ("A", b"2"), ("a", b"3")]),
        (b"a=%&b=%4&c=%zz&d=%%41", [("a", b"%"), ("b", b"%4"), ("c", b"%zz"), ("d", b"%A")]),
        (b"a=1;b=2", [("a", b"1;b=2")]),
        (b"a=\xe9\xc3\xa9\r\n", [("a", b"\xe9\xc3\xa9\r\n")]),
        ("%C3%A9=1&é=2&%E9=3".encode(), [("é", b"1"), ("é", b"2"), ("\ufffd", b"3")]),
    ],
)
def test_urlencoded_fields_keep_their_bytes(body: bytes, fields: list[tuple[str, bytes]]) -> None:
    assert urlencoded(body) == fields
    assert all(
        field.filename is None and field.content_type == "" for field in parse_form(URLENCODED, body).fields
    )


@given(st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=20)), max_size=10))
def test_urlencoded_fields_come_back_whatever_they_hold(fields: list[tuple[str, bytes]]) -> None:
    body = "&".join(f"{quote_from_bytes(name.encode())}={quote_from_bytes(value)}" for name, value in fields)
    assert urlencoded(body.encode()) == fields
    assert urlencoded(body.replace("%20", "+").encode()) == fields


@pytest.mark.parametrize(
    "content_type",
    [URLENCODED, URLENCODED.upper(), f"{URLENCODED}; charset=iso-8859-1", f" {URLENCODED} ;x", f"{URLENCODED};"],
)
def test_the_content_type_may_be_written_in_any_way(content_type: str) -> None:
    assert parse_form(content_type, b"a=%E9").last("a") == b"\xe9"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        ";",
        "multipart",
        "text/plain",
        "application/json",
        "multipart/mixed; boundary=b",
        "multipart/form-datax; boundary=b",
        f"x; {URLENCODED}",
        "é",
        "\udcff",
        "日本; boundary=b",
    ],
)
def test_what_is_no_form_is_refused_as_a_media_type(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=r"multipart/form-data or application/x-www-form-urlencoded"):
        parse_form(content_type, part('form-data; name="a"', b"1") + b"--b--")


def test_the_last_of_a_name_counts_and_all_are_there() -> None:
    form = parse_form(URLENCODED, b"token=theirs&Token=x&token=ours&empty=")
    assert [field.value for field in form.all("token")] == [b"theirs", b"ours"]
    assert (form.last("token"), form.last("empty"), form.last("none")) == (b"ours", b"", None)
    assert form.all("none") == []


def test_only_some_fields_are_those_and_no_others() -> None:
    body = (
        part('form-data; name="a"', b"1") + part('form-data; name="b"', b"2") + part('form-data; name="a"', b"3")
    )
    for form in (
        parse_form(URLENCODED, b"a=1&b=2&%61=3", {"a"}),
        parse_form(MULTIPART, body + b"--b--", {"a"}),
    ):
        assert [(field.name, field.value) for field in form.fields] == [("a", b"1"), ("a", b"3")]


def test_a_field_as_text_and_as_json() -> None:
    form = parse_form(URLENCODED, b"t=+%C3%A9%E9%0A&j=%7B%22a%22:1%7D&broken=%5B&broken8=%22%E9%22&empty=")
    assert (form.text("t"), form.text("none")) == ("é\ufffd", "")
    assert [form.json(name) for name in ("j", "broken", "broken8", "empty", "none")] == [{"a": 1}, *[None] * 4]


def test_multipart_values_keep_every_byte() -> None:
    hostile = b"--b\r\n\r\n-- b--\r\n--\r\n\n--b\n--c\r\n\r--b\r\n" + EVERY_BYTE + b"\r\n"
    for value in (b"", EVERY_BYTE, b"\r\n", b"\r\n\r\n", b"\r", b"\n", b"-", hostile, b"\xe9" * 10, b"\0"):
        assert multipart(part('form-data; name="a"', value), part('form-data; name="z"', b"end")) == (
            Field("a", value),
            Field("z", b"end"),
        )


@given(st.lists(st.binary(max_size=50) | st.sampled_from([b"\r\n--", b"\r\n-", b"--b", b"\r\r\n--"]), max_size=6))
def test_multipart_values_come_back_whatever_they_hold(pieces: list[bytes]) -> None:
    boundary = "a boundary of 40 characters, as providers make"
    value = b"".join(pieces)
    body = part('form-data; name="a"', value).replace(b"--b", f"--{boundary}".encode(), 1)
    form = parse_form(f'multipart/form-data; boundary="{boundary}"', body + f"--{boundary}--".encode())
    assert form.fields == (Field("a", value),)


def test_a_field_of_a_whole_mail_is_not_cut() -> None:
    value = EVERY_BYTE * 20_000  # 5 MB; Starlette's own parser stops at 1 MiB
    assert multipart(part('form-data; name="email"', value)) == (Field("email", value),)
    assert urlencoded(b"email=" + value.replace(b"&", b"").replace(b"%", b"").replace(b"+", b"")) == [
        ("email", value.replace(b"&", b"").replace(b"%", b"").replace(b"+", b""))
    ]


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ('form-data; name="a"', "a", None),
        ("form-data; name=a", "a", None),
        ('FORM-DATA; NAME="a"', "a", None),
        ('form-data; name=""', "", None),
        ('form-data; name="A b"', "A b", None),
        ('form-data; name="a"; filename=""', "a", ""),
        ('form-data; name="a"; filename=', "a", ""),
        ('form-data; filename="x.eml"; name="a"', "a", "x.eml"),
        ('form-data; name="a"; filename="x;y=\\"z\\", w.eml"', "a", 'x;y="z", w.eml'),
        ('form-data; name="a"; filename="name=\\"b\\""', "a", 'name="b"'),
        ('form-data; name="a;b"; filename="; name=c"', "a;b", "; name=c"),
        ('form-data; name="a"; filename="été.txt"', "a", "été.txt"),
        (b'form-data; name="a"; filename="\xe9t\xe9.txt"', "a", "\ufffdt\ufffd.txt"),
        ('form-data; name="a"; filename="../../etc/passwd"', "a", "../../etc/passwd"),
        ("form-data; name=\"a\"; filename*=utf-8''%C3%A9.txt", "a", "é.txt"),
        ('form-data; name="a"; filename="plain"; filename*=utf-8\'\'starred', "a", "plain"),
        ('form-data; name="a"; filename*=utf-8\'\'starred; filename="plain"', "a", "plain"),
        ("form-data; name=\"a; filename*=utf-8''x\"", "a; filename*=utf-8''x", None),
        ('form-data; name="a"; name="b"', "b", None),
    ],
)
def test_names_and_filenames_are_read_as_browsers_and_clients_write_them(
    disposition: str | bytes, name: str, filename: str | None
) -> None:
    assert multipart(part(disposition, b"v")) == (Field(name, b"v", filename),)


def test_the_content_type_of_a_part_is_kept() -> None:
    assert multipart(
        part('form-data; name="a"; filename="x"', b"v", b"content-type: message/rfc822; x=y", b"X-Other: 1")
    ) == (Field("a", b"v", "x", "message/rfc822; x=y"),)


def test_what_follows_the_closing_boundary_is_nothing() -> None:
    body = part('form-data; name="a"', b"1") + b"--b--\r\n" + part('form-data; name="evil"', b"2") + b"--b--"
    assert parse_form(MULTIPART, body).fields == (Field("a", b"1"),)


@pytest.mark.parametrize("body", [b"--b--", b"--b--\r\n", b"\r\n--b--\r\n"])
def test_a_form_without_parts_is_a_form(body: bytes) -> None:
    assert parse_form(MULTIPART, body) == Form(())


GOOD = part('form-data; name="a"', b"1") + b"--b--\r\n"


def test_a_multipart_form_that_is_cut_anywhere_is_refused() -> None:
    for length in range(len(GOOD) - len(b"-\r\n")):
        assert "multipart form" in refused(MULTIPART, GOOD[:length])


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        ";",
        "; boundary",
        "; boundary=",
        '; boundary=""',
        "; Xboundary=b",
        "; boundary*=utf-8''b",
        f"; boundary={'b' * 201}",
    ],
)
def test_a_boundary_that_is_missing_or_monstrous_is_refused(parameters: str) -> None:
    assert "boundary" in refused(f"multipart/form-data{parameters}", GOOD)


@pytest.mark.parametrize(
    "boundary", ["b", "-", "--", "b" * 200, "=?:()/,'+_.", "é", "a b", "\t", "b\\", "%E9", "\x7f"]
)
def test_a_strange_boundary_is_still_a_boundary(boundary: str) -> None:
    line = b"--" + boundary.encode("latin-1")
    value = b"--" + boundary.encode("latin-1")[:-1] + b"\r\n--"
    body = line + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + value + b"\r\n" + line + b"--"
    form = parse_form(f'multipart/form-data; boundary="{boundary}"', body)
    assert form.fields == (Field("a", value),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--",
        b"--b",
        b"--c--",
        b"preamble\r\n" + GOOD,
        b"--b\r\n\r\nno headers\r\n--b--",
        part("form-data", b"no name") + b"--b--",
        part("form-data; filename=x", b"no name") + b"--b--",
        part("form-data; name*=utf-8''a", b"a name that forms may not have") + b"--b--",
        b"--b\r\nContent-Type: text/plain\r\n\r\nno disposition\r\n--b--",
        b'--b\r\nContent-Disposition form-data; name="a"\r\n\r\nno colon\r\n--b--',
        b'--b\r\n: form-data; name="a"\r\n\r\nno field name\r\n--b--',
        b'--b\r\nContent-Disposition: form-data;\r\n name="a"\r\n\r\nfolded\r\n--b--',
        b'--b\nContent-Disposition: form-data; name="a"\n\nLF ends\n--b--',
        b"--b\r\n" + b"X: y\r\n" * 100 + b"\r\nmany headers\r\n--b--",
        b"--b\r\nX: " + b"y" * 100_000 + b"\r\n\r\nlong header\r\n--b--",
        GOOD.replace(b"--b--", b"--b-"),
        GOOD.replace(b"--b--", b"--bx--"),
    ],
)
def test_a_malformed_multipart_form_is_refused(body: bytes) -> None:
    refused(MULTIPART, body)


@pytest.mark.parametrize("count", [MAX_FIELDS, MAX_FIELDS + 1])
def test_the_number_of_fields_is_limited(count: int) -> None:
    bodies = {
        URLENCODED: b"&".join([b"a=1"] * count),
        MULTIPART: part('form-data; name="a"', b"1") * count + b"--b--",
    }
    for content_type, body in bodies.items():
        if count > MAX_FIELDS:
            assert refused(content_type, body) == f"the form has more than {MAX_FIELDS} fields"
        else:
            assert len(parse_form(content_type, body).fields) == count


SOME_MEGABYTES = 4 * 1024 * 1024


@pytest.mark.parametrize(
    "value",
    [b"\r\n", b"\r", b"\n", b"-", b"\r\n--", b"\r\n--bbbbb", b"\r\n--bbbbbbbbb\r", b"\r\n-", b"\0"],
)
def test_a_value_that_is_nearly_boundaries_throughout_does_not_take_long(value: bytes) -> None:
    """Quadratic work on this many bytes would not end before the test's limit."""
    content_type = "multipart/form-data; boundary=bbbbbbbbbb"
    value *= SOME_MEGABYTES // len(value)
    body = part('form-data; name="a"', value).replace(b"--b\r\n", b"--bbbbbbbbbb\r\n", 1) + b"--bbbbbbbbbb--"
    assert parse_form(content_type, body).last("a") == value


@pytest.mark.parametrize("piece", [b"&", b"=", b"%", b"+", b"a=1&", b"%4", b"%E9", b"a"])
def test_an_urlencoded_body_of_one_thing_repeated_does_not_take_long(piece: bytes) -> None:
    body = piece * (SOME_MEGABYTES // len(piece))
    if b"&" in piece:
        assert "more than" in refused(URLENCODED, body)
    else:
        assert len(urlencoded(body)) == 1


@pytest.mark.parametrize("piece", [";", '"', '\\"', "; filename*=", "; name=", '";', '; a="', "=", " ", "'", "%"])
def test_a_header_of_one_thing_repeated_does_not_take_long(piece: str) -> None:
    """As large as the parser lets a part's header be."""
    disposition = f'form-data; name="a"; {piece * (4000 // len(piece))}'
    assert len(multipart(part(disposition) * 200)) == 200


CONTENT_TYPES = (
    st.sampled_from([URLENCODED, MULTIPART, 'multipart/form-data; boundary="b"', "multipart/form-data"])
    | st.text(max_size=20)
    | st.text(max_size=30).map(lambda text: f"multipart/form-data; boundary={text}")
    | st.text(st.sampled_from('";=\\*b ,'), max_size=20).map(lambda text: f"multipart/form-data;{text}")
)
PIECES = st.sampled_from(
    b'--b\r\n|--b--|--b|\r\n|\r|\n|Content-Disposition: |form-data|; name="a"|; filename="|'
    b"; filename*=utf-8''%E9|Content-Type: |: |a=1&|%E9|%|&|=|+|\0|\xff|--|-|;|\"|\\|'".split(b"|")
)


@given(CONTENT_TYPES, st.lists(PIECES | st.binary(max_size=4), max_size=30).map(b"".join))
def test_any_body_of_any_content_type_is_a_form_or_refused(content_type: str, body: bytes) -> None:
    try:
        form = parse_form(content_type, body)
    except (BadRequest, UnsupportedMediaType):
        return
    for field in form.fields:
        (field.name + field.content_type + (field.filename or "")).encode()


@given(st.lists(PIECES | st.binary(max_size=4), max_size=12).map(b"".join), st.binary(max_size=20))
def test_any_header_of_a_part_is_read_or_refused(header: bytes, value: bytes) -> None:
    body = part(b'form-data; name="a"' + header.replace(b"\r", b"").replace(b"--b", b""), value) + b"--b--"
    try:
        fields = parse_form(MULTIPART, body).fields
    except BadRequest:
        return
    assert fields


ESCAPES = st.sampled_from(
    [b"%", b"%%", b"%4", b"%41", b"%e9", b"%E9", b"+", b"=", b"==", b"\n", b"\r\n", b"\r", b" ", b"a"]
)


@given(st.lists(ESCAPES | st.binary(max_size=3), max_size=12).map(b"".join))
def test_the_short_way_through_escapes_gives_what_the_long_one_gives(value: bytes) -> None:
    value = value.replace(b"&", b"")
    assert urlencoded(b"a=" + value) == [("a", unquote_carefully(value))]


PLAIN_PARTS = st.sampled_from(
    [
        part('form-data; name="a"', b"1"),
        part('form-data; name="a"; filename=""', b"1", b"Content-Type: text/plain; charset=utf-8"),
        part('form-data; name="\xe9"; filename="\xe9.txt"', b"\r\n--\r\n"),
        part(b'form-data; name="\xe9"; filename="a\\b"', b""),
        part('form-data; name="%E9"; filename="%22"', b"--b"),
        part('form-data; name="a"', b"\r\n--bx\r\n"),
        part('form-data; name="a"', b"\r\n--b \r\n"),
        part("form-data; name=a", b"1", b"X: y"),
        part('form-data; name="a"', b"1", b"Content-Type: "),
        part('form-data; name="a"', b"1", b"Content-Type:  x "),
    ]
)


@given(
    st.lists(PLAIN_PARTS | PIECES, max_size=5),
    st.sampled_from([b"--b--", b"--b--\r\n", b"--b--\r\nx", b"--b--x", b""]),
)
def test_the_short_way_through_parts_gives_what_the_parser_gives(parts: list[bytes], end: bytes) -> None:
    body = b"".join(parts) + end
    try:
        expected = multipart_carefully(b"b", body)
    except BadRequest:
        refused(MULTIPART, body)
    else:
        assert parse_form(MULTIPART, body) == expected


@pytest.mark.parametrize(
    ("value", "unquoted"),
    [
        (b"%41%", b"A%"),
        (b"%41%4", b"A%4"),
        (b"%41%42%zz%43", b"AB%zzC"),
        (b"%41%%42", b"A%B"),
        (b"%41" * 2001 + b"%", b"A" * 2001 + b"%"),
    ],
)
def test_a_broken_escape_behind_sound_ones_stays(value: bytes, unquoted: bytes) -> None:
    assert urlencoded(b"a=" + value) == [("a", unquoted)]


@pytest.mark.parametrize("before", range(8))
def test_a_value_in_pieces_is_the_value(before: int) -> None:
    """Wherever a piece would end: within an escape, behind a broken one, at a plus."""
    value = b"x" * before + b"%C3%A9%+a%2" * 60_000
    body = b"one=1&value=" + value + b"&last"
    fields = spans(body)
    assert [one.name for one in fields] == ["one", "value", "last"]
    pieces = list(value_pieces(body, fields[1]))
    assert len(pieces) > 1
    assert b"".join(pieces) == unquote_carefully(value)
    assert [b"".join(value_pieces(body, one)) for one in (fields[0], fields[2])] == [b"1", b""]


NAMES = ("token", "signature")
short_forms = st.lists(
    st.tuples(st.sampled_from([*NAMES, "other", "to ken", "token2"]), st.text(max_size=30)), max_size=8
)


@given(short_forms, st.integers(0, 3))
def test_short_fields_are_those_of_the_whole_form(fields: list[tuple[str, str]], megabytes: int) -> None:
    """Of a form as clients write it, with a mail before them."""
    fields = [("mail", "y" * megabytes * 1024 * 1024 * 2), *fields]
    body = urlencode(fields).encode()
    kind = "application/x-www-form-urlencoded"
    form = parse_form(kind, body)
    assert find_short(kind, body, NAMES) == {name: form.text(name) for name in NAMES if form.all(name)}
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    kind, body = 'multipart/form-data; boundary="b"', b"".join(parts) + b"--b--\r\n"
    form = parse_form(kind, body)
    assert find_short(kind, body, NAMES) == {name: form.text(name) for name in NAMES if form.all(name)}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"token=x"),
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"to%6ben=x&xtoken=y"),
        ("multipart/form-data", b'--\r\nContent-Disposition: form-data; name="token"\r\n\r\nx\r\n----'),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\nx\r\n'),
        ("multipart/form-data; boundary=b", b"--b\r\n" * 3000 + b"--b--"),
    ],
)
def test_what_is_no_form_has_no_short_fields(kind: str, body: bytes) -> None:
    assert find_short(kind, body, NAMES) == {}
