"""Resend, without the door: its announcement becomes a request, the answers to its requests the mail."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import BadRequest, NotAMail, UnsupportedMediaType
from relay.inbound.providers.resend import Resend
from relay.inbound.webhook.fetch_codec import decode, encode
from relay.inbound.webhook.provider import Answers, Delivery, Fetch, NotProven
from tests.examples import examples
from tests.inbound.contract import ProviderContract
from tests.inbound.json_events import damaged
from tests.inbound.posts import NOW, header_values, post

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
EVENT: dict[str, Any] = {
    "type": "email.received",
    "created_at": "2026-09-01T11:59:59.126Z",
    "data": {
        "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
        "created_at": "2026-09-01T11:59:58.894719+00:00",
        "from": "Ann <ann@sender.test>",
        "to": ["Desk <desk@example.com>"],
        "bcc": [],
        "cc": ["copy@example.com"],
        "message_id": "<1@sender.test>",
        "subject": "Hello",
        "attachments": [{"id": "2a0c", "filename": "a.png", "content_type": "image/png"}],
    },
}
EMAIL: dict[str, Any] = {
    "object": "email",
    "id": "56761188-7520-42d8-8898-ff6fc54ce618",
    "to": ["desk@example.com"],
    "from": "Ann <ann@sender.test>",
    "created_at": "2026-09-01T11:59:58.894719+00:00",
    "subject": "Hello",
    "html": "<p>Hi</p>",
    "text": "Hi",
    "headers": {"X-Mailer": "Test", "subject": "=?utf-8?q?H=C3=A9llo?="},
    "reply_to": ["reply@sender.test"],
    "message_id": "<1@sender.test>",
    "raw": {
        "download_url": "https://inbound-cdn.resend.com/raw/1?Signature=x",
        "expires_at": "2026-09-01T13:00:00Z",
    },
}
MAIL = b"From: Ann <ann@sender.test>\r\nSubject: bytes \xff\r\n\r\nHi\r\n"

provider = Resend((SECRET, "whsec_other"))


def announced(event: dict[str, Any] = EVENT) -> Fetch:
    [fetch] = provider.parse(post([("svix-id", "msg_1")], json.dumps(event).encode()))
    return fetch


def answered(**changes: Any) -> Delivery | Fetch:
    return provider.fetched(announced(), [json.dumps(EMAIL | changes).encode()])


def test_an_announcement_becomes_a_request_below_a_fixed_host() -> None:
    fetch = announced()
    assert fetch.urls == ("https://api.resend.com/emails/receiving/56761188-7520-42d8-8898-ff6fc54ce618",)
    assert (fetch.with_key, fetch.event, fetch.received, fetch.retry_seconds) == (True, "id:msg_1", NOW, 259_200)


@pytest.mark.parametrize("email_id", ["", None, "..", "a/b", "a?b", "https://evil.test/", "a" * 65, "é"])
def test_what_is_no_id_makes_no_url(email_id: object) -> None:
    with pytest.raises(BadRequest, match=r"data\.email_id"):
        announced(EVENT | {"data": EVENT["data"] | {"email_id": email_id}})


def test_another_event_is_told_so() -> None:
    with pytest.raises(BadRequest, match=r"this is email\.bounced: subscribe this URL to email\.received only"):
        announced(EVENT | {"type": "email.bounced"})


def test_the_mail_itself_is_the_second_answer_and_asked_for_without_the_key() -> None:
    second = answered(received_for=["alias@example.com"])
    assert isinstance(second, Fetch)
    assert (second.urls, second.with_key) == (("https://inbound-cdn.resend.com/raw/1?Signature=x",), False)
    delivery = provider.fetched(second, [MAIL])
    assert isinstance(delivery, Delivery)
    assert (delivery.raw, delivery.raw_synthesized) == (MAIL, False)
    assert (delivery.recipients, delivery.event) == (("alias@example.com",), "id:msg_1")
    assert delivery.received.isoformat() == "2026-09-01T11:59:58.894719+00:00"


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "http://inbound-cdn.resend.com/1",
        "https://resend.com.evil.test/1",
        "https://evilresend.com/1",
        "https://inbound-cdn.resend.com@evil.test/1",
        "https://x@inbound-cdn.resend.com/1",
        "https://inbound-cdn.resend.com:22/1",
        "https://[::1]/",
        "https://inbound-cdn.resend.com:x/",
        "https://evil.test%2f.x.resend.com/1",
        "https://127.0.0.1;.x.cloudfront.net/1",
        "https://x..resend.com/1",
        "https://.resend.com/1",
        "file:///etc/passwd",
        "https://api.resend.com/domains",
        "https://api.resend.com/emails/receiving/../../domains",
    ],
)
def test_without_a_url_that_may_be_asked_the_mail_is_rebuilt(url: str | None) -> None:
    delivery = answered(raw={"download_url": url})
    assert isinstance(delivery, Delivery)
    assert delivery.raw_synthesized
    assert (delivery.parts.subject, delivery.parts.text, delivery.parts.html) == ("Héllo", "Hi", "<p>Hi</p>")
    assert dict(delivery.parts.headers)["reply-to"] == "reply@sender.test"
    assert [name for name, _ in delivery.parts.headers].count("subject") == 1
    assert delivery.recipients == ("desk@example.com", "copy@example.com")


def test_without_any_recipient_nothing_more_is_asked() -> None:
    with pytest.raises(BadRequest, match="no recipient"):
        answered(to=[], cc=[], bcc=None)


def test_a_download_that_is_no_mail_is_refused() -> None:
    second = answered()
    assert isinstance(second, Fetch)
    with pytest.raises(NotAMail):
        provider.fetched(second, [b"<Error>expired</Error>"])


def test_svix_signs_it() -> None:
    body, seconds = json.dumps(EVENT).encode(), str(int(NOW.timestamp()))
    digest = hmac.new(KEY, f"msg_1.{seconds}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    headers = [("svix-id", "msg_1"), ("svix-timestamp", seconds), ("svix-signature", signature)]
    provider.verify(post(headers, body))
    with pytest.raises(NotProven):
        provider.verify(post(headers, body + b" "))
    assert SECRET not in repr(provider)


@settings(max_examples=examples(60), deadline=None)
@given(damaged(EVENT), damaged(EMAIL) | st.binary(max_size=40), st.binary(max_size=40) | st.just(MAIL))
def test_any_post_and_any_answers_are_a_mail_or_refused(body: bytes, email: bytes, mail: bytes) -> None:
    with suppress(BadRequest, UnsupportedMediaType):
        for fetch in provider.parse(post([], body)):
            assert all(url.startswith("https://api.resend.com/emails/receiving/") for url in fetch.urls)
            assert all(map(provider.may_fetch, fetch.urls))
            assert decode(encode(fetch)) == fetch
            found = provider.fetched(fetch, [email])
            if isinstance(found, Fetch):
                assert not found.with_key
                assert all(map(provider.may_fetch, found.urls))
                assert decode(encode(found)) == found
                found = provider.fetched(found, [mail])
            assert isinstance(found, Delivery)
            assert found.recipients


class TestResend(ProviderContract):
    """Its posts hold no mail, so there is no builder; its mails come by test_fetching.py."""

    name = "resend"
    answers = Answers(not_proven=401, unreadable=200, too_large=413)
    secret = SECRET
    bodies = damaged(EVENT) | st.binary(max_size=60)
    heads = header_values().map(
        lambda signature: [
            ("svix-id", "1"),
            ("svix-timestamp", str(int(NOW.timestamp()))),
            ("svix-signature", signature),
        ]
    )
