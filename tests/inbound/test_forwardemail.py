"""``POST /inbound/forwardemail`` beyond its cases: anything that may be posted, and one mail all the way."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.builders.forwardemail import build
from relay.inbound.providers.forwardemail import ForwardEmail
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

SECRET = "secret-of-forwardemail"
provider = ForwardEmail((SECRET,))
NAMES = (
    "raw headers headerLines line text html attachments content data type filename contentType contentDisposition cid"
    " recipients session recipient remoteAddress provider mta arrivalDate key"
)
TOTAL = settings(max_examples=200, deadline=None)


def signed(body: bytes) -> list[tuple[str, str]]:
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return [("content-type", "application/json"), ("x-webhook-signature", digest)]


@pytest.mark.anyio
@pytest.mark.settings(forwardemail_secret=f"new,{SECRET}")
async def test_a_mail_goes_all_the_way_once(relay: Relay) -> None:
    target, headers, body = build(MAIL, [ADDRESS], SECRET, datetime.now(UTC))
    message = await through_the_door(relay, target, headers, body)
    assert (message["inbox"], message["raw"].encode()) == (ADDRESS, MAIL)
    assert (message["ip"], message["via"]) == ("192.0.2.1", "mx1.forwardemail.net")
    refusal = await relay.http.post(target, headers=headers, content=body.replace(b"Hello", b"Hallo"))
    assert refusal.status_code in (401, provider.answers.not_proven)
    assert SECRET not in refusal.text


def test_a_sending_server_that_tries_again_makes_the_same_event() -> None:
    """Its second session is another post: other times in Received, maybe other recipients left."""
    first = build(b"Received: at 10:00\r\n" + MAIL, [ADDRESS, "b@b.test"], SECRET, datetime.now(UTC))
    second = build(b"Received: at 10:30\r\n" + MAIL, [ADDRESS], SECRET, datetime.now(UTC))
    events = [
        one.event
        for _, headers, body in (first, second)
        for one in provider.parse(post(headers, body))
        if isinstance(one, Delivery)
    ]
    assert len(events) == 2
    assert len(set(events)) == 1


def test_a_file_above_1_mib_is_whole() -> None:
    content = bytes(range(256)) * 5000
    attachment = {"filename": "big", "content": {"type": "Buffer", "data": list(content)}}
    event = {"recipients": [ADDRESS], "text": "text", "attachments": [attachment]}
    [delivery] = provider.parse(post(body=as_json(event)))
    assert isinstance(delivery, Delivery)
    assert delivery.parts.attachments == (hashlib.md5(content, usedforsecurity=False).hexdigest(),)


@TOTAL
@given(json_like(NAMES.split()), st.booleans())
def test_any_json_is_mails_or_refused(event: object, named: bool) -> None:
    if named and isinstance(event, dict):
        event["recipients"] = [ADDRESS]
    body = as_json(event)
    request = post(signed(body), body)
    provider.verify(request)
    mails_or_refusal(provider, request)


@given(st.binary(max_size=100), header_values())
def test_any_body_of_any_type_is_mails_or_refused(body: bytes, content_type: bytes) -> None:
    assert mails_or_refusal(provider, post([("content-type", content_type)], body)) == []


@given(
    st.lists(st.tuples(st.sampled_from(["authorization", "x-webhook-signature"]), header_values())),
    st.text(max_size=20),
)
def test_any_credentials_are_not_proven(headers: list[tuple[str, bytes]], query: str) -> None:
    assert not proven_or_not(provider, post(headers, query=query))


def test_the_secret_is_shown_nowhere() -> None:
    assert_keeps(SECRET, provider, post([("x-webhook-signature", SECRET)]), post(signed(b"x"), b"x"))
