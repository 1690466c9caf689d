"""``POST /inbound/mailgun``: routes of Mailgun by HTTP, and whatever else a stranger may post there."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.providers.mailgun import Mailgun
from relay.inbound.webhook.provider import Answers, Delivery, Fetch, NotProven
from tests.harness import ADDRESS, MAIL, Relay
from tests.inbound import journey
from tests.inbound.contract import StampedContract
from tests.inbound.posts import NOW, header_values, post

KEY = "key-of-mailgun"
FORM = "application/x-www-form-urlencoded"
with_key = pytest.mark.settings(mailgun_secret=KEY)

provider = Mailgun((KEY,))


def signed(token: str = "t" * 50, timestamp: int = int(NOW.timestamp()), key: str = KEY) -> dict[str, str]:
    signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    return {"timestamp": str(timestamp), "token": token, "signature": signature}


@pytest.mark.anyio
@with_key
async def test_a_token_brings_one_mail_whatever_body_it_comes_with(relay: Relay) -> None:
    """Its signature does not cover the body."""
    triple = signed(timestamp=int(datetime.now(UTC).timestamp()))
    async with relay.listen() as socket:
        for subject in ("theirs", "of a thief"):
            fields = {"recipient": ADDRESS, "body-mime": f"Subject: {subject}\r\n\r\n", **triple}
            assert (await relay.http.post("/inbound/mailgun", data=fields)).status_code == 200
        await relay.send("the next")
        assert [await socket.subject() for _ in range(2)] == ["theirs", "the next"]


_SHADOWS = [
    ("recipient", "somebody@else.test"),
    ("event", "clicked"),
    ("message-url", "https://api.mailgun.net/v3/domains/x/messages/1"),
    ("attachments", "[]"),
    ("body-mime", "Subject: another\r\n\r\nmail"),
    ("subject", "another"),
    ("body-plain", "another text"),
    ("message-headers", '[["To", "nobody@x.test"]]'),
]


@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
@pytest.mark.parametrize("shadow", _SHADOWS, ids=lambda shadow: shadow[0])
def test_a_header_of_the_mail_shadows_no_field_of_mailgun(shadow: tuple[str, str], *, first: bool) -> None:
    """A parsed post has each header as a field of its own, among Mailgun's."""
    headers = [["To", ADDRESS], ["Subject", "theirs"], list(shadow)]
    own = [
        ("recipient", ADDRESS),
        ("subject", "theirs"),
        ("body-plain", "the text"),
        ("message-headers", json.dumps(headers)),
        *signed().items(),
    ]
    fields = [shadow, *own] if first else [*own, shadow]
    [delivery] = provider.parse(post([("content-type", FORM)], urlencode(fields).encode()))
    assert isinstance(delivery, Delivery)
    assert delivery.recipients == (ADDRESS,)
    assert (delivery.parts.subject, delivery.parts.text) == ("theirs", "the text")
    assert [mailbox.address for mailbox in delivery.parts.to] == [ADDRESS]


@pytest.mark.parametrize("name", ["message-url", "attachments"])
def test_a_notification_of_store_is_told_by_either_of_its_fields_and_not_in_mime(name: str) -> None:
    fields = {"recipient": ADDRESS, "body-plain": "text", name: "https://storage.mailgun.test/1"}
    with pytest.raises(BadRequest, match="message-url at Mailgun"):
        provider.parse(post([("content-type", FORM)], urlencode(fields).encode()))
    fields["body-mime"] = "Subject: whole\n\n"
    [delivery] = provider.parse(post([("content-type", FORM)], urlencode(fields).encode()))
    assert isinstance(delivery, Delivery)
    assert delivery.parts.subject == "whole"


def stored(url: str) -> Fetch:
    fields = {"recipient": ADDRESS, "body-plain": "text", "message-url": url, **signed()}
    [fetch] = provider.parse(post([("content-type", FORM)], urlencode(fields).encode()))
    assert isinstance(fetch, Fetch)
    return fetch


@pytest.mark.parametrize(
    "host",
    ["api.mailgun.net", "api.eu.mailgun.net", "se.api.mailgun.net", "storage-europe-west1.api.mailgun.net"],
)
def test_a_stored_mail_is_asked_for_at_mailgun(host: str) -> None:
    url = f"https://{host}/v3/domains/mg.example.com/messages/BAAB_-=="
    fetch = stored(url)
    assert (fetch.urls, fetch.with_key, fetch.accept) == ((url,), True, "message/rfc2822")
    assert (fetch.event, fetch.retry_seconds) == (f"token:{'t' * 50}", 3 * 24 * 3600)
    for answer in (MAIL, json.dumps({"body-mime": MAIL.decode()}).encode()):
        delivery = provider.fetched(fetch, [answer])
        assert (delivery.raw, delivery.raw_synthesized, delivery.recipients) == (MAIL, False, (ADDRESS,))
        assert (delivery.event, delivery.retry_seconds) == (fetch.event, fetch.retry_seconds)
        assert delivery.received == NOW


@pytest.mark.parametrize(
    "url",
    [
        "http://api.mailgun.net/v3/domains/a/messages/b",
        "https://api.mailgun.net.evil.example/v3/domains/a/messages/b",
        "https://evilapi.mailgun.net/v3/domains/a/messages/b",
        "https://a.b.api.mailgun.net/v3/domains/a/messages/b",
        "https://api.mailgun.net:443/v3/domains/a/messages/b",
        "https://x@api.mailgun.net/v3/domains/a/messages/b",
        "https://api.mailgun.net/v3/domains/a/messages/../../../x",
        "https://api.mailgun.net/v3/domains/a/messages/b?x=1",
        "https://api.mailgun.net/v3/routes",
        "https://api.mailgun.net/v3/domains/a/messages/b\nx",
        "https://169.254.169.254/v3/domains/a/messages/b",
    ],
)
def test_nothing_else_is_asked_whatever_the_post_says(url: str) -> None:
    """Its signature does not cover the URL."""
    assert not provider.may_fetch(url)
    with pytest.raises(BadRequest, match="message-url at Mailgun"):
        stored(url)


@given(
    st.binary(max_size=60) | st.just(MAIL) | st.binary(max_size=9).map(lambda text: b'{"body-mime": "%b"}' % text)
)
def test_any_answer_is_a_mail_or_refused(answer: bytes) -> None:
    fetch = stored("https://api.mailgun.net/v3/domains/a/messages/b")
    with suppress(BadRequest):
        assert provider.fetched(fetch, [answer]).recipients == (ADDRESS,)


def test_what_the_html_shows_is_inline_and_the_rest_is_attached() -> None:
    parts = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % pair
        for pair in (
            (b"recipient", b"a@b.test"),
            (b"body-html", b'<img src="cid:one@x">'),
            (b"content-id-map", b'{"<one@x>": "attachment-1", "<two@x>": "attachment-2"}'),
            (b'attachment-1"; filename="1.png', b"1"),
            (b'attachment-2"; filename="2.png', b"2"),
        )
    )
    [delivery] = provider.parse(post([("content-type", "multipart/form-data; boundary=b")], parts + b"--b--"))
    assert isinstance(delivery, Delivery)
    assert b'inline; filename="1.png"\r\nContent-ID: <one@x>' in delivery.raw
    assert b'attachment; filename="2.png"\r\nContent-ID: <two@x>' in delivery.raw


def test_a_field_of_more_than_a_megabyte_is_whole() -> None:
    text = "line é\r\n" * 200_000
    fields = {"recipient": ADDRESS, "subject": "large", "body-plain": text, **signed()}
    request = post([("content-type", FORM)], urlencode(fields).encode())
    provider.verify(request)
    [delivery] = provider.parse(request)
    assert isinstance(delivery, Delivery)
    assert (delivery.parts.text, delivery.raw_synthesized) == (text.replace("\r\n", "\n"), True)


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1.5", "1e9", "٣", "9" * 400, " 1", "1\n"])
def test_a_timestamp_that_is_none_proves_nothing(timestamp: str) -> None:
    signature = hmac.new(KEY.encode(), f"{timestamp}t".encode(), hashlib.sha256).hexdigest()
    fields = {"timestamp": timestamp, "token": "t", "signature": signature}
    with pytest.raises(NotProven):
        provider.verify(post([("content-type", FORM)], urlencode(fields).encode()))


def test_the_signature_is_over_timestamp_and_token() -> None:
    good = signed()
    provider.verify(post([("content-type", FORM)], urlencode(good).encode()))
    for name in good:
        wrong = good | {name: good[name][:-1] + ("0" if good[name][-1] != "0" else "1")}
        with pytest.raises(NotProven):
            provider.verify(post([("content-type", FORM)], urlencode(wrong).encode()))


NAMES = st.sampled_from(
    [
        "recipient",
        "body-mime",
        "body-plain",
        "body-html",
        "message-headers",
        "content-id-map",
        "from",
        "event",
        "attachments",
        "message-url",
        "X-Mailgun-Sscore",
        "timestamp",
        "token",
        "signature",
        "parent-signature",
    ]
)
VALUES = st.binary(max_size=30) | st.sampled_from(
    [
        b"a@b.test",
        b"[",
        b"[" * 5000,
        b'{"a":' * 5000,
        b'[["From", "x"], 5, ["X", [["y"], {}]]]',
        b"\xff",
        b"nan",
        b'{"": "attachment-1", "": []}',
        b"1e999",
        b"9" * 5000,
        b'"\\ud800"',
        b"From: x\n\n",
        "٣".encode(),
        b"NaN",
    ]
)


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=8), st.sampled_from([FORM, "application/json", "text/plain", ""])
)
def test_whatever_is_posted_is_proven_and_parsed_or_refused(fields: list[tuple[str, bytes]], kind: str) -> None:
    request = post([("content-type", kind)], urlencode(fields).encode())
    with pytest.raises(NotProven):
        provider.verify(request)
    with suppress(BadRequest, UnsupportedMediaType):
        [delivery] = provider.parse(request)
        assert isinstance(delivery, Delivery)
        assert delivery.recipients[0]
        assert delivery.received.tzinfo
        assert delivery.spam is None or 0 <= delivery.spam <= 1


@given(
    st.binary(max_size=200),
    st.sampled_from([FORM, "application/json", "multipart/form-data; boundary=b"]) | header_values(),
)
def test_any_body_of_any_type_is_refused(body: bytes, kind: str | bytes) -> None:
    request = post([("content-type", kind)], body)
    with pytest.raises(NotProven):
        provider.verify(request)
    with pytest.raises((BadRequest, UnsupportedMediaType)):
        provider.parse(request)


class TestMailgun(StampedContract):
    """The proof is in the form, and does not cover the rest of it."""

    name = "mailgun"
    answers = Answers(not_proven=401, unreadable=200, too_large=406)
    secret = KEY
    content_type = FORM
    mail = journey.MAIL + b"8-bit \xe9\xff\0\r\n"
    bodies = st.lists(st.tuples(NAMES, VALUES), max_size=8).map(lambda fields: urlencode(fields).encode())
    max_age = timedelta(hours=9)
    max_ahead = timedelta(minutes=5)
