"""What is promised where the standard library has no opinion worth asking, and limits in size."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest

from relay.message import EmailAddress
from relay.mime import parse
from relay.mime.charset import decode
from relay.mime.headers import MAX_DECODED
from tests.cpu import within
from tests.mime.test_corpus import raw_of

FROM = b"From: ann@example.com\r\n"


def html(body: str) -> bytes:
    return FROM + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + body.encode()


def text(body: str) -> bytes:
    return FROM + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + body.encode()


# --- headers


def test_headers_come_in_order_as_they_are_with_each_fold_one_blank() -> None:
    assert parse(raw_of("fold-blank")).headers == (
        ("from", "ann@example.com"),
        ("x-fold", "a b  c"),  # two folds, the line between them is blank
        ("x-empty", ""),
        ("subject", "blank before the colon"),
        ("x-after", "x"),
    )


def test_headers_are_not_decoded() -> None:
    assert dict(parse(raw_of("words-question-mark")).headers)["subject"] == "=?utf-8?Q?Are_you_there??="


def test_eight_bit_headers_are_utf_8_else_latin_1_each_by_itself() -> None:
    raw = b"X-A: gr\xc3\xbcn\r\nX-B: gr\xfcn\r\n\r\n"
    assert parse(raw).headers == (("x-a", "grün"), ("x-b", "grün"))


def test_nul_and_bare_cr_stay_in_a_header() -> None:
    assert parse(b"X-A: a\0b\rc\r\n\r\n").headers == (("x-a", "a\0b\rc"),)


def test_a_broken_line_in_the_middle_is_left_out_and_the_rest_is_not() -> None:
    names = [name for name, _ in parse(raw_of("no-colon-in-the-middle")).headers]
    assert names == ["from", "to", "subject", "content-type"]


def test_two_lines_that_are_no_fields_are_the_body() -> None:
    assert parse(raw_of("no-blank-line")).text == "Hello Bob\nhow are you\n\nAnn\n"


def test_a_long_line_is_whole() -> None:
    assert dict(parse(raw_of("long-line")).headers)["x-long"] == "x" * 102_400


# --- encoded words and addresses


@pytest.mark.parametrize(
    ("subject", "decoded"),
    [
        (b"=?utf-8?B?w4RubmE=?=", "Änna"),
        (b"=?utf-8?B?w4Q=?= =?utf-8?B?bg==?=x", "Änx"),
        (b"=?utf-8?Q?a=C3=A4=?= b", "aä b"),
        (b"=?utf-8*de?Q?gr=C3=BCn?=", "grün"),
        (b"=?iso-8859-1?q?=E9?=\r\n =?utf-8?q?=C3=A9?=", "éé"),
        (b"a =?utf-8?q?b?= c", "a b c"),
        (b"=?utf-8?q?a b?=", "a b"),
        (b"=?utf-8?B?A?=", "=?utf-8?B?A?="),
        (b"=?utf-8?Q?\xc3\xa4?=", "=?utf-8?Q?ä?="),
        (b"=? no word ?=", "=? no word ?="),
        (b"1 =?= 2", "1 =?= 2"),
    ],
)
def test_subjects(subject: bytes, decoded: str) -> None:
    assert parse(b"Subject: " + subject + b"\r\n\r\n").subject == decoded


@pytest.mark.parametrize(
    ("field", "mailboxes"),
    [
        (b"Ann Example <ann@example.com>", [("Ann Example", "ann@example.com")]),
        (b"<ann@example.com>", [("", "ann@example.com")]),
        (b"Ann@Example.COM", [("", "Ann@Example.COM")]),
        (b'"Ann \\"A\\" E" <ann@example.com>', [('Ann "A" E', "ann@example.com")]),
        (b"A B C <a@b.c> , d@e.f,", [("A B C", "a@b.c"), ("", "d@e.f")]),
        (b"=?utf-8?Q?G?=: a@b.c;", [("", "a@b.c")]),
        (b"a: b@c.d, e: f@g.h;", [("", "b@c.d"), ("", "f@g.h")]),
        (b"ann@example.com <ann@example.com>", [("ann@example.com", "ann@example.com")]),
        (b"Ann = E <ann@example.com>", [("Ann = E", "ann@example.com")]),
        (b"<ann=x@example.com>", [("", "ann=x@example.com")]),
        (b'"ann"@example.com (A "quoted" (nested\\)) one)', [('A "quoted" (nested\\)) one', '"ann"@example.com')]),
        (b"A <a@b.c><d@e.f>", [("A", "a@b.c")]),
        (b"undisclosed recipients", []),
        (b"", []),
        (b"=?utf-8?Q?evil=40example.com?= <ann@example.com>", [("evil@example.com", "ann@example.com")]),
        (b"=?utf-8?Q?a=0D=0Ab?= <ann@example.com>", [("a b", "ann@example.com")]),
    ],
)
def test_mailboxes(field: bytes, mailboxes: list[tuple[str, str]]) -> None:
    parts = parse(b"To: " + field + b"\r\n\r\n")
    assert parts.to == tuple(EmailAddress(address, name) for name, address in mailboxes)


# --- charsets


def test_a_hostile_codec_is_not_reachable() -> None:
    for label in (
        "idna",
        "punycode",
        "unicode_escape",
        "raw_unicode_escape",
        "undefined",
        "utf-7",
        "hex",
        "rot13",
    ):
        assert decode(b"+ADw- \\u0041 caf\xc3\xa9", label) == "+ADw- \\u0041 café"


def test_iso_2022_jp_beyond_the_standard_table() -> None:
    assert decode(b"\x1b(I1\x1b(B", "ISO-2022-JP") == "ｱ"  # half-width katakana, as Windows mailers send them


def test_utf_16_without_a_mark_is_big_endian() -> None:
    assert decode("Grüße".encode("utf-16-be"), "utf-16") == "Grüße"


def test_control_characters_of_latin_1() -> None:
    assert decode(b"\x81\xe9", "iso-8859-1") == "\x81é"


# --- attachments


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("base64-no-padding", b"hello"),
        ("base64-junk", b"hello world"),
        ("base64-empty", b""),
        ("qp-attachment", b"\x00\xff\x80raw\n"),
        ("uuencode", b"uuencoded bytes"),
        ("text-attachment-only", b"file content\r\n"),
        ("filename-word", b"inside the file"),
        ("tnef", b"\x78\x9f\x3e\x22\x01\x00"),
        ("gmail-attachment", b"attachment \x00\xff bytes"),
        ("inline-image", b"attachment \x00\xff bytes"),
        (
            "nested-rfc822-broken-base64",
            base64.b64decode(raw_of("nested-rfc822-base64").split(b"\r\n\r\n")[3][:-8]),
        ),
    ],
)
def test_an_attachment_is_the_md5_of_its_bytes(name: str, content: bytes) -> None:
    assert parse(raw_of(name)).attachments == (hashlib.md5(content, usedforsecurity=False).hexdigest(),)


def test_a_message_inside_gives_neither_text_nor_links() -> None:
    parts = parse(raw_of("nested-rfc822"))
    assert (parts.text, parts.links, len(parts.attachments)) == ("Body text.", (), 1)


def test_a_short_uuencoded_line_does_not_grow() -> None:
    raw = FROM + b"Content-Type: a/b\r\nContent-Transfer-Encoding: uuencode\r\n\r\nbegin 644 a\n" + b"M\n" * 3
    assert parse(raw).attachments == (hashlib.md5(b"", usedforsecurity=False).hexdigest(),)


# --- links


def test_links_of_text_then_html_each_once() -> None:
    assert parse(raw_of("links")).links == (
        "https://example.com/a",
        "http://example.com/b",
        "https://en.example.org/wiki/A_(b)",
        "HTTPS://example.com/c",
        "https://example.com/token_",
        "https://example.com/d",
        "http://example.com/e?x=1&y=2",
        "https://example.com/f.png",
        "https://example.com/g/h",
    )


@pytest.mark.parametrize("make", [text, lambda body: html(f'<a href="{body}">')])
def test_a_link_that_is_too_long_is_left_out_not_cut(make: Callable[[str], bytes]) -> None:
    url = "https://example.com/".ljust(2048, "a")
    assert parse(make(url)).links == (url,)
    assert parse(make(url + "a")).links == ()
    assert parse(make(url[:-20] + "." * 40 + "a")).links == ()


def test_at_most_a_thousand_links() -> None:
    assert len(parse(text(" ".join(f"https://example.com/{n}" for n in range(2000)))).links) == 1000


# --- size


def test_a_thousand_headers() -> None:
    with within(0.5):
        parts = parse(b"".join(b"X-%d: value\r\n\tfolded\r\n" % n for n in range(1000)) + b"\r\nbody")
    assert len(parts.headers) == 1000
    assert parts.headers[999] == ("x-999", "value folded")


def test_millions_of_headers_are_bounded() -> None:
    with within(2):
        assert len(parse(b"a:\n" * 1_000_000).headers) == 10_000


def test_three_hundred_levels() -> None:
    levels = (b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(300))
    parts = parse(FROM + b"Subject: deep\r\n" + b"".join(levels) + b"\r\nbottom")
    assert (parts.subject, len(parts.attachments), parts.text) == ("deep", 1, "")


def test_a_text_beside_the_depth_is_read() -> None:
    levels = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(300)
    )
    raw = FROM + b"Content-Type: multipart/mixed; boundary=b0\r\n\r\n" + levels + b"--b0\r\n\r\nseen\r\n--b0--\r\n"
    assert parse(raw).text == "seen"


def test_thousands_of_parts_are_bounded() -> None:
    raw = (
        FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\nContent-Type: a/b\r\n\r\n" * 20_000
    )
    with within(2):
        assert len(parse(raw).attachments) == 1000


def test_an_attachment_of_twenty_megabytes() -> None:
    content = bytes(range(256)) * 80_000
    raw = FROM + b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(content)
    with within(3):
        assert parse(raw).attachments == (hashlib.md5(content, usedforsecurity=False).hexdigest(),)


def test_one_line_of_five_megabytes() -> None:
    with within(1):
        assert len(parse(text("x" * 5_000_000)).text) == 5_000_000


UNITS = [
    "<",
    "http://",
    " src=http://",
    "/src=http://",
    ' src="http://',
    " href='http://a&amp;",
    "://",
    "https://a) ",
]


def test_attributes_that_never_end_are_looked_at_once() -> None:
    with within(2):
        assert parse(html("/src=http://" * 350_000)).links == ()


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("make", [html, text])
def test_a_megabyte_of_near_links(unit: str, make: Callable[[str], bytes]) -> None:
    with within(3):
        parse(make(unit * (1_000_000 // len(unit))))


HARD = r"""
( ) < " \" <\" = a= @ <@ a@ , ; : =? =?a?Q? =?a?Q?x =?a?B? =?a?B?x
=?a?Q?a?=_ =?= [ <" <"" (<"\ ;a=" ;a*1=x (() é, a@b, \
"""


@pytest.mark.parametrize("unit", HARD.split())
def test_near_addresses_and_words_as_long_as_are_decoded(unit: str) -> None:
    value = unit.encode() * (100_000 // len(unit.encode()))
    assert len(value) < MAX_DECODED  # longer ones are cut at a comma: then there would be nothing to do
    with within(3):
        parse(b'From: %b\r\nTo: %b>\r\nCc: %b"\r\nSubject: %b\r\n\r\n' % (value, value, value, value))


@pytest.mark.parametrize("unit", HARD.split())
def test_a_megabyte_of_near_parameters(unit: str) -> None:
    value = unit.encode() * (1_000_000 // len(unit))
    with within(3):
        parse(FROM + b"Content-Type: text/plain; " + value + b"\r\nContent-Disposition: x; " + value + b"\r\n\r\n")


def test_mailboxes_beyond_the_limit_are_cut_off_whole() -> None:
    mailboxes = parse(b"To: " + b"someone@example.com, " * 10_000 + b"\r\nTo: late@example.com\r\n\r\n").to
    assert set(mailboxes) == {EmailAddress("someone@example.com")}
    assert len(mailboxes) == MAX_DECODED // 21


@pytest.mark.parametrize("encoding", [b"quoted-printable", b"base64", b"uuencode"])
@pytest.mark.parametrize("unit", [b" ", b"=", b"=\r", b"A=", b"=0", b"M\n", b"\xff"])
def test_a_megabyte_of_near_encoding(encoding: bytes, unit: bytes) -> None:
    head = FROM + b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\nbegin 6 a\n"
    with within(3):
        parse(head + unit * (1_000_000 // len(unit)) + b"x\n")
