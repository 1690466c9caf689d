"""Whatever bytes come: Parts that survive JSON, or NotAMail."""

from __future__ import annotations

import codecs
import importlib
import itertools
from dataclasses import asdict

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.errors import NotAMail
from relay.mime import parse
from relay.mime.charset import CODECS, decode
from tests.examples import examples
from tests.mime.test_corpus import CORPUS

MAILS = [path.read_bytes() for path in sorted(CORPUS.glob("*.eml")) if path.stem != "long-line"]
EXAMPLES = settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])

# What mails are made of, and what breaks them.
PIECES = st.sampled_from(
    b"From: |To: |Cc: |Subject: |Content-Type: |multipart/mixed|text/html|text/plain|message/rfc822|; boundary=b|"
    b"; charset=|utf-8|utf-16|idna|iso-2022-jp|hz|x-sjis|Content-Transfer-Encoding: |base64|quoted-printable|"
    b"uuencode|Content-Disposition: attachment|; filename*0*=utf-8''%C3|; name=\"a|\r\n|\n|\r|\r\n\r\n| |\t|--b|"
    b'--b--|=?utf-8?Q?|=?gb18030?B?|?=|=C3|=\r\n|aGVsbG8=|<|>|(|)|"|\\|,|;|:|@|a@b.c|[|]|https://a.b/|<a href="|'
    b"&#xD800;|\0|\xff|\xc3\xa9|\xed\xa0\x80|begin 644 a\n|\x1b$B|~{|\xd8\x00|%".split(b"|")
)


def total(raw: bytes) -> None:
    try:
        parts = parse(raw)
    except NotAMail:
        return
    orjson.dumps(asdict(parts))
    assert not set("\r\n") & set(parts.subject)
    assert "\r" not in parts.text + parts.html


@EXAMPLES
@given(st.binary(max_size=500))
def test_any_bytes(raw: bytes) -> None:
    total(raw)
    total(b"From: " + raw)


@EXAMPLES
@given(st.lists(PIECES | st.binary(max_size=3), max_size=60))
def test_bytes_that_look_like_mail(pieces: list[bytes]) -> None:
    total(b"From: " + b"".join(pieces))


@EXAMPLES
@given(st.sampled_from(MAILS), st.data())
def test_a_mail_with_bytes_changed_cut_or_put_in(raw: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(raw)))
        cut = data.draw(st.integers(0, 20))
        raw = raw[:start] + data.draw(PIECES | st.binary(max_size=4)) + raw[start + cut :]
    total(raw)


@EXAMPLES
@given(st.sampled_from([*sorted(CODECS), "idna", "undefined", "x", ""]), st.binary(max_size=60))
def test_any_charset_of_any_bytes(label: str, content: bytes) -> None:
    decode(content, label).encode()


def has_a_table(codec: str) -> bool:
    """Each byte is a character in it, whatever stands beside it."""
    module = importlib.import_module(f"encodings.{codecs.lookup(codec).name.replace('-', '_')}")
    return hasattr(module, "decoding_table")


def test_no_allowed_codec_makes_a_surrogate_of_two_bytes() -> None:
    pairs = [bytes(pair) for pair in itertools.product(range(256), repeat=2)]
    singles = [bytes([byte]) for byte in range(256)]
    for label in set(CODECS.values()):
        "".join(decode(some, label) for some in (singles if has_a_table(label) else pairs)).encode()


def test_ascii_is_ascii_in_every_codec_that_takes_the_short_way() -> None:
    ascii_bytes = bytes(range(128))
    for codec in set(CODECS.values()):
        if not codec.startswith(("iso2022", "hz", "utf-16", "utf-32")):
            assert ascii_bytes.decode(codec) == ascii_bytes.decode("ascii"), codec
