"""What providers' JSON may hold, and what is made of it: a value, or the one documented error."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import mime
from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.webhook.provider import event_of_mail
from relay.inbound.webhook.received import Hop, hop
from relay.inbound.webhook.values import (
    base64_bytes,
    json_object,
    member,
    moment,
    number,
    objects,
    posted_object,
    spam_of_score,
    texts,
    truth,
)
from tests.inbound.posts import post

POSTFIX = (
    "from mail.sender.test (mx.sender.test [192.0.2.7]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
    "(256/256 bits) key-exchange X25519) (No client certificate requested) by MX1.provider.test (Postfix) with "
    "ESMTPS id 4XyZ for <a@b.test>; Fri, 20 Nov 2026 10:00:00 +0000"
)
FORGED = "from trusted.test (trusted.test [198.51.100.1]) by mx9.provider.test with ESMTPS id 1"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"a": "\\ud83d\\ude00"}', "😀"),
        (b'{"a": "cut \\ud83d"}', "cut �"),
        (b'{"a": "\\ude00\\ud83d!"}', "��!"),
        (b'{"a": "\\\\ud83d \\ud83d"}', "\\ud83d �"),
        (b'{"a": 1, "a": "last"}', "last"),
    ],
)
def test_json_of_lenient_writers_is_read(body: bytes, found: str) -> None:
    assert json_object(body) == {"a": found}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"x"', b'{"a": NaN}', b'{"a": "\xff"}', b'{"a":' * 100_000, b'{"a": "\\ud83d', b"[" * 100_000],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        json_object(body)


@pytest.mark.parametrize("kind", ["message/rfc822", "Multipart/Form-Data; boundary=x"])
def test_a_post_of_another_kind_is_refused_by_name(kind: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="the JSON of Somebody"):
        posted_object(post([("content-type", kind)], b"{}"), "Somebody")


@given(st.binary(max_size=60) | st.text(st.sampled_from('{}[]":,\\ud83ceE0+')).map(str.encode))
def test_any_bytes_are_an_object_or_bad_request(body: bytes) -> None:
    with suppress(BadRequest):
        assert isinstance(json_object(body), dict)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("2026-11-21T12:00:00Z", datetime(2026, 11, 21, 12, tzinfo=UTC)),
        ("2026-11-21T14:00:00+02:00", datetime(2026, 11, 21, 12, tzinfo=UTC)),
        ("2026-11-21 12:00:00", datetime(2026, 11, 21, 12, tzinfo=UTC)),
        (1795262400, datetime(2026, 11, 21, 12, tzinfo=UTC)),
        ("1795262400.5", datetime(2026, 11, 21, 12, 0, 0, 500_000, UTC)),
        (1e300, None),
        (10**400, None),
        ("1e999", None),
        (True, None),
        ("9999-12-31T23:59:59-23:59", None),
        ("yesterday", None),
        (None, None),
        ({}, None),
    ],
)
def test_moments(given: object, found: datetime | None) -> None:
    assert moment(given) == found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(JSON)
def test_every_value_is_read_or_absent(value: object) -> None:
    assert isinstance(truth(value), bool)
    found = moment(value)
    assert found is None or found.tzinfo is UTC
    spam = spam_of_score(value)
    assert spam is None or 0 <= spam <= 1
    assert number(value) is None or isinstance(number(value), float)
    assert all(isinstance(one, dict) for one in objects(value))
    assert all(isinstance(one, str) and one for one in texts(value))
    assert isinstance(member({"a": value}, "a"), dict)


@given(st.binary())
def test_base64_of_any_writer_is_read(content: bytes) -> None:
    for encoded in (_base64(content), _base64(content).rstrip("="), "\r\n".join(_base64(content)) + "\n"):
        assert base64_bytes(encoded) == content
        assert base64_bytes(encoded.replace("+", "-").replace("/", "_")) == content


@pytest.mark.parametrize("given", ["a", "ab!=", "é", "a===", "YQ==YQ"])
def test_what_is_no_base64_is_none(given: str) -> None:
    assert base64_bytes(given) is None


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([POSTFIX, FORGED], Hop("192.0.2.7", "mx1.provider.test", True)),
        (
            ["by in.provider.test (Postfix, from userid 9) id 1; Fri", POSTFIX],
            Hop("192.0.2.7", "mx1.provider.test", True),
        ),
        (["from a.test by mx.elsewhere.test with ESMTPS", FORGED], Hop()),
        (["from a.test (a [192.0.2.1]) by mx.evilprovider.test with ESMTPS", FORGED], Hop()),
        (
            ["from [203.0.113.9] (unknown [192.0.2.7]) by provider.test with SMTP id 1"],
            Hop("192.0.2.7", "provider.test"),
        ),
        (
            ["from a (b [IPv6:2001:DB8::1]) by provider.test with UTF8SMTPSA id 1"],
            Hop("2001:db8::1", "provider.test", True),
        ),
        (
            ["from a [192.0.2.7] by provider.test (X) with ESMTP (version=TLSv1.3)"],
            Hop("192.0.2.7", "provider.test", True),
        ),
        (["from ([192.0.2.7] b.test) by provider.test with ESMTP"], Hop("192.0.2.7", "provider.test")),
        (["from a (with TLSv1.3 [999.1.1.1]) by provider.test with ESMTP"], Hop("", "provider.test")),
        (["from withESMTPS by provider.test with ESMTP"], Hop("", "provider.test")),
        ([""], Hop()),
        ([], Hop()),
    ],
)
def test_only_what_the_provider_wrote_tells_the_hop(fields: list[str], expected: Hop) -> None:
    assert hop([("received", field) for field in fields], "provider.test") == expected


def test_without_a_domain_the_top_most_field_counts() -> None:
    assert hop([("x", "y"), ("received", POSTFIX)], "").ip == "192.0.2.7"


@given(st.lists(st.text(st.sampled_from("from by with[](). 1:ESMTPS")), max_size=3))
def test_any_received_fields_are_a_hop(fields: list[str]) -> None:
    assert isinstance(hop([("received", field) for field in fields], ""), Hop)


def test_the_copy_of_a_mailing_list_is_another_mail_and_another_way_of_the_same_is_not() -> None:
    mail = b"Received: one\r\nMessage-ID: <1@a.test>\r\nSubject: x\r\n\r\nbody\r\n"
    name = event_of_mail(mime.parse(mail), "ann@a.test")
    assert event_of_mail(mime.parse(mail.replace(b"one", b"two")), "ann@a.test") == name
    assert event_of_mail(mime.parse(mail), "list@b.test") != name
    for other in (mail + b"-- \r\nfooter\r\n", mail.replace(b"1@", b"2@"), mail.replace(b": x", b": y")):
        assert event_of_mail(mime.parse(other), "ann@a.test") != name
