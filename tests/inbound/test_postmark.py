"""``POST /inbound/postmark`` beyond its cases: anything that may be posted, and one mail all the way."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.builders.postmark import build
from relay.inbound.providers.postmark import Postmark
from relay.inbound.webhook.provider import Delivery
from tests.harness import ADDRESS, MAIL, Relay
from tests.inbound.posts import header_values, post
from tests.inbound.promises import (
    as_json,
    assert_keeps,
    json_like,
    mails_or_refusal,
    proven_or_not,
    through_the_door,
)

SECRET = "secret-of-postmark"
provider = Postmark((SECRET,))
NAMES = [
    "From",
    "FromFull",
    "ToFull",
    "CcFull",
    "BccFull",
    "Email",
    "Name",
    "OriginalRecipient",
    "Subject",
    "MessageID",
    "Date",
    "ReplyTo",
    "TextBody",
    "HtmlBody",
    "RawEmail",
    "Headers",
    "Value",
    "Attachments",
    "Content",
    "Data",
    "ContentType",
    "ContentID",
    "RecordType",
]
TOTAL = settings(max_examples=200, deadline=None)


@pytest.mark.anyio
@pytest.mark.settings(postmark_secret=f"new,{SECRET}")
async def test_a_mail_goes_all_the_way_once(relay: Relay) -> None:
    target, headers, body = build(MAIL, [ADDRESS], SECRET, datetime.now(UTC))
    message = await through_the_door(relay, target, headers, body)
    assert (message["inbox"], message["raw"].encode(), message["subject"]) == (ADDRESS, MAIL, "Hello")
    assert "rawSynthesized" not in message
    target, headers, body = build(MAIL, [ADDRESS], "wrong", datetime.now(UTC))
    refusal = await relay.http.post(target, headers=headers, content=body)
    assert refusal.status_code == provider.answers.not_proven == 401
    assert SECRET not in refusal.text


def test_a_field_above_1_mib_is_whole() -> None:
    text = "line of text\n" * 100_000
    [delivery] = provider.parse(
        post(body=as_json({"OriginalRecipient": ADDRESS, "TextBody": text, "Subject": "big"}))
    )
    assert isinstance(delivery, Delivery)
    assert (delivery.parts.text, delivery.raw_synthesized) == (text, True)


@TOTAL
@given(json_like(NAMES), st.booleans())
def test_any_json_is_mails_or_refused(event: object, named: bool) -> None:
    if named and isinstance(event, dict):
        event["OriginalRecipient"] = ADDRESS
    mails_or_refusal(provider, post([("content-type", "application/json")], as_json(event)))


@given(st.binary(max_size=100), header_values())
def test_any_body_of_any_type_is_mails_or_refused(body: bytes, content_type: bytes) -> None:
    assert mails_or_refusal(provider, post([("content-type", content_type)], body)) == []


@given(st.lists(st.tuples(st.sampled_from(["authorization"]), header_values())), st.text(max_size=20))
def test_any_credentials_are_not_proven(headers: list[tuple[str, bytes]], query: str) -> None:
    assert not proven_or_not(provider, post(headers, query=query))


def test_the_secret_is_shown_nowhere() -> None:
    wrong = base64.b64encode(f"postmark:{SECRET}x".encode()).decode()
    assert_keeps(
        SECRET, provider, post([("authorization", f"Basic {wrong}")]), post(query=f"token={SECRET}", body=b"x")
    )
