"""Brevo's inbound parsing, without the door: items without files are mails at once, others when their files came."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.providers.brevo import Brevo
from relay.inbound.webhook.fetch_codec import decode, encode
from relay.inbound.webhook.provider import Answers, Delivery, Fetch, Unreadable
from tests.examples import examples
from tests.inbound.contract import SharedSecretContract
from tests.inbound.journey import filenames
from tests.inbound.json_events import damaged
from tests.inbound.posts import NOW, post

SECRET = "secret-of-brevo"
API = "https://api.brevo.com/v3/inbound/attachments/"
ITEM: dict[str, Any] = {
    "Uuid": ["aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"],
    "MessageId": "<1@sender.test>",
    "InReplyTo": None,
    "From": {"Name": "Ann", "Address": "ann@sender.test"},
    "To": [{"Name": None, "Address": "desk@example.com"}],
    "Cc": [{"Name": "Copy", "Address": "copy@example.com"}],
    "ReplyTo": None,
    "SentAtDate": "Tue, 1 Sep 2026 13:59:58 +0200",
    "Subject": "Hello",
    "Attachments": [],
    "Headers": {
        "Received": ["by mx.sender.test for <desk@example.com>", "from [10.0.0.1] by smtp.sender.test"],
        "From": "Ann <ann@sender.test>",
        "Subject": "=?utf-8?q?H=C3=A9llo?=",
        "Message-ID": "<1@sender.test>",
        "To": "desk@example.com",
        "Content-Type": "multipart/alternative",
    },
    "SpamScore": 2.5,
    "ExtractedMarkdownMessage": "Hi",
    "RawHtmlBody": "<p>Hi</p>",
    "RawTextBody": "Hi\r\n",
}
FILES = [
    {
        "Name": "a.csv",
        "ContentType": "text/csv",
        "ContentLength": 4,
        "ContentID": None,
        "DownloadToken": "tok/1+=",
    },
    {"Name": "i.png", "ContentType": "image/png", "ContentLength": 4, "ContentID": "abc", "DownloadToken": "tok2"},
]

MAIL = (
    "From: =?utf-8?q?J=C3=B6rg?= <joerg@sender.test>\r\nTo: user1@mailsac.com\r\nSubject: Hello\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"
    "--c\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHällo, world.\r\n"
    "--c\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hällo</p>\r\n--c--\r\n"
).encode()

provider = Brevo((SECRET, "older"))


def parse(*items: object) -> Sequence[Delivery | Fetch | Unreadable]:
    return provider.parse(post([], json.dumps({"items": items}).encode()))


def test_an_item_without_files_is_a_mail_at_once() -> None:
    [delivery] = parse(ITEM)
    assert isinstance(delivery, Delivery)
    assert delivery.recipients == ("desk@example.com", "copy@example.com")
    assert (delivery.parts.subject, delivery.parts.text, delivery.parts.html) == ("Héllo", "Hi\n", "<p>Hi</p>")
    assert (delivery.spam, delivery.raw_synthesized, delivery.received) == (0.25, True, NOW)
    assert (delivery.event, delivery.retry_seconds) == (f"id:{ITEM['Uuid'][0]}", 172_800)
    assert (delivery.ip, delivery.via, delivery.rtls) == ("", "", False)


def test_an_item_with_files_is_a_mail_when_they_came() -> None:
    [fetch] = parse(ITEM | {"Attachments": FILES})
    assert isinstance(fetch, Fetch)
    assert fetch.urls == (f"{API}tok%2F1%2B%3D", f"{API}tok2")
    assert fetch.with_key
    delivery = provider.fetched(fetch, [b"a,b\n", b"\x89PNG"])
    digests = [hashlib.md5(content, usedforsecurity=False).hexdigest() for content in (b"a,b\n", b"\x89PNG")]
    assert sorted(delivery.parts.attachments) == sorted(digests)
    assert filenames(delivery.raw) == ["a.csv", "i.png"]
    assert (delivery.event, delivery.recipients) == (fetch.event, ("desk@example.com", "copy@example.com"))
    assert (delivery.received, delivery.retry_seconds) == (NOW, fetch.retry_seconds)


@pytest.mark.parametrize(
    ("changes", "recipients"),
    [
        (
            {"Recipients": ["alias@example.com", {"Address": "b@example.com"}]},
            ("alias@example.com", "b@example.com"),
        ),
        ({"Headers": {"delivered-to": ["<alias@example.com>", "forged@x.test"]}}, ("alias@example.com",)),
        ({"Cc": None}, ("desk@example.com",)),
        ({"To": None, "Cc": ["copy@example.com"]}, ("copy@example.com",)),
    ],
)
def test_the_envelope_counts_before_what_the_mail_names(
    changes: dict[str, Any], recipients: tuple[str, ...]
) -> None:
    [delivery] = parse(ITEM | changes)
    assert isinstance(delivery, Delivery)
    assert delivery.recipients == recipients


@pytest.mark.parametrize("token", ["", None, "..", "a b", "\x00", "é", "x" * 2049])
def test_what_is_no_token_makes_no_url(token: object) -> None:
    [unreadable] = parse(ITEM | {"Attachments": [FILES[0] | {"DownloadToken": token}]})
    assert isinstance(unreadable, Unreadable)
    assert unreadable.reason == "an attachment has no DownloadToken"


@pytest.mark.parametrize(
    "url",
    [
        f"{API}a/b",
        f"{API}..",
        f"{API}%2e%2e",
        f"{API}a?b",
        f"{API}é",
        API,
        "https://api.brevo.com/v3/account",
        "https://api.brevo.com.evil.example/v3/inbound/attachments/a",
        "http://api.brevo.com/v3/inbound/attachments/a",
    ],
)
def test_nothing_but_a_file_is_asked_for(url: str) -> None:
    assert not provider.may_fetch(url)
    assert provider.may_fetch(f"{API}a")


def test_files_are_not_without_number() -> None:
    [fetch] = parse(ITEM | {"Attachments": FILES * 500})
    assert isinstance(fetch, Fetch)
    [unreadable] = parse(ITEM | {"Attachments": FILES * 501})
    assert isinstance(unreadable, Unreadable)


def test_a_bad_item_does_not_keep_the_others() -> None:
    first, second, third, fourth = parse(ITEM, {}, "x", ITEM | {"Uuid": None})
    assert isinstance(first, Delivery)
    assert isinstance(fourth, Delivery)
    assert fourth.event.startswith("sha256:")
    for bad, item in ((second, {}), (third, "x")):
        assert isinstance(bad, Unreadable)
        assert json.loads(bad.body) == {"items": [item]}


def test_files_of_a_mail_for_nobody_are_not_asked_for() -> None:
    [unreadable] = parse(ITEM | {"Attachments": FILES, "To": [], "Cc": []})
    assert isinstance(unreadable, Unreadable)
    assert unreadable.reason == "an item names no recipient"


def test_an_item_of_endless_depth_is_unreadable() -> None:
    deep = b'{"items": [{"x": ' + b"[" * 500 + b"]" * 500 + b"}]}"
    [unreadable] = provider.parse(post([], deep))
    assert isinstance(unreadable, Unreadable)
    assert unreadable.body == deep


@pytest.mark.parametrize("event", [{"event": "delivered", "email": "a@b.test"}, {}, {"items": {}}])
def test_an_event_of_another_webhook_is_told_so(event: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="point inbound parsing here"):
        provider.parse(post([], json.dumps(event).encode()))


@settings(max_examples=examples(60), deadline=None)
@given(damaged({"items": [ITEM | {"Attachments": FILES}, ITEM]}), st.binary(max_size=40))
def test_any_post_and_any_files_are_mails_or_refused(body: bytes, content: bytes) -> None:
    with suppress(BadRequest, UnsupportedMediaType):
        for one in provider.parse(post([], body)):
            if isinstance(one, Fetch):
                assert all(url.startswith(API) and "/" not in url.removeprefix(API) for url in one.urls)
                assert all(map(provider.may_fetch, one.urls))
                assert decode(encode(one)) == one
                assert provider.parse(post([], one.post)) == [one]  # as `relay parked retry` has it
                assert provider.fetched(one, [content] * len(one.urls)).recipients


class TestBrevo(SharedSecretContract):
    """Its builder posts no files, because they would lie at Brevo."""

    name = "brevo"
    answers = Answers(not_proven=401, unreadable=200, too_large=413)
    settings: ClassVar = {"brevo_api_key": "key"}
    mail = MAIL
    rebuilt = True
    bodies = damaged({"items": [ITEM | {"Attachments": FILES}, ITEM]}) | st.binary(max_size=60)
