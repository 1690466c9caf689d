"""``POST /inbound/sparkpost``: relay webhooks by HTTP, in batches, and whatever else a stranger may post there."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.builders.sparkpost import build
from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.providers.sparkpost import SparkPost
from relay.inbound.webhook.provider import Answers, Delivery, Unreadable
from tests.harness import ADDRESS, MAIL, Relay
from tests.inbound import journey
from tests.inbound.contract import SharedSecretContract
from tests.inbound.posts import header_values, post

TOKEN = "auth-token-of-sparkpost"

provider = SparkPost((TOKEN,))


@pytest.mark.anyio
@pytest.mark.settings(sparkpost_secret=TOKEN)
@pytest.mark.parametrize("mail", [MAIL, MAIL + b"8-bit \xe9\xff\0\r\n"], ids=["utf-8", "base64"])
async def test_a_batch_arrives_byte_for_byte_and_once(relay: Relay, mail: bytes) -> None:
    target, headers, body = build(mail, [ADDRESS, "second@mailsac.com"], TOKEN, datetime.now(UTC))
    async with relay.listen(f"{ADDRESS},second@mailsac.com") as socket:
        first = await relay.http.post(target, headers=headers, content=body)
        messages = [await socket.message() for _ in range(2)]
        again = await relay.http.post(target, headers=headers, content=body)
        await relay.send("the next")
        assert await socket.subject() == "the next"
    assert (first.status_code, again.status_code) == (200, 200)
    assert {message["inbox"] for message in messages} == {ADDRESS, "second@mailsac.com"}
    assert {message["raw"].encode(message.get("rawEncoding", "utf-8")) for message in messages} == {mail}
    assert [one["duplicate"] for one in again.json()["accepted"]] == [True, True]


def event(recipient: str, raw: object = MAIL.decode()) -> dict[str, Any]:
    return {"msys": {"relay_message": {"rcpt_to": recipient, "content": {"email_rfc822": raw}}}}


def test_what_cannot_be_read_is_a_post_of_its_own() -> None:
    body = json.dumps([event("a@b.test"), event("c@d.test", "no mail"), event("e@f.test")]).encode()
    good, bad, last = provider.parse(post([], body))
    assert isinstance(good, Delivery)
    assert isinstance(last, Delivery)
    assert isinstance(bad, Unreadable)
    mended = bad.body.replace(b"no mail", b"Subject: mended\\n\\n")
    [delivery] = provider.parse(post([], mended))
    assert isinstance(delivery, Delivery)
    assert (delivery.recipients, delivery.parts.subject) == (("c@d.test",), "mended")


def test_events_of_another_webhook_are_parked_once_and_broken_mails_each() -> None:
    other = {"msys": {"track_event": {"type": "open"}}}
    batch = [other, event(ADDRESS), other, {"msys": {"relay_message": {}}}]
    found = provider.parse(post(body=json.dumps(batch).encode()))
    assert [one.once for one in found if isinstance(one, Unreadable)] == [True, True, False]


def test_an_event_that_cannot_be_written_again_is_the_whole_batch() -> None:
    body = b'[{"msys":' + b"[" * 400 + b"]" * 400 + b"}," + json.dumps(event("a@b.test")).encode() + b"]"
    bad, good = provider.parse(post([], body))
    assert isinstance(bad, Unreadable)
    assert bad.body == body
    assert isinstance(good, Delivery)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(MAIL.decode()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "msys",
                    "relay_message",
                    "rcpt_to",
                    "content",
                    "email_rfc822",
                    "email_rfc822_is_base64",
                    "headers",
                    "to",
                    "text",
                ]
            ),
            inner,
        )
    ),
    max_leaves=12,
)
EVENTS = VALUES | VALUES.map(lambda value: {"msys": value}) | VALUES.map(lambda value: event("a@b.test", value))
CONTENTS = st.dictionaries(
    st.sampled_from(["email_rfc822", "email_rfc822_is_base64", "headers", "to", "text", "html"]), VALUES
)
EVENTS |= CONTENTS.map(lambda content: {"msys": {"relay_message": {"rcpt_to": "a@b.test", "content": content}}})


@given(st.lists(EVENTS, max_size=4))
def test_any_batch_is_mails_and_unreadable_events_or_refused(events: list[object]) -> None:
    with suppress(BadRequest):
        for one in provider.parse(post([], json.dumps(events).encode())):
            if isinstance(one, Unreadable):
                assert one.reason
                assert json.loads(one.body)
            else:
                assert one.recipients[0]
                assert one.raw


@given(st.binary(max_size=100), header_values())
def test_any_body_of_any_type_is_mails_or_refused(body: bytes, kind: bytes) -> None:
    with suppress(BadRequest, UnsupportedMediaType):
        assert not provider.parse(post([("content-type", kind)], body))


class TestSparkPost(SharedSecretContract):
    """Its token, or the secret in the URL."""

    name = "sparkpost"
    answers = Answers(not_proven=401, unreadable=200, too_large=413)
    secret = TOKEN
    mail = journey.MAIL + b"8-bit \xe9\xff\0\r\n"
    bodies = st.lists(EVENTS, max_size=4).map(lambda events: json.dumps(events).encode())
    heads = st.lists(
        st.tuples(st.sampled_from(["x-messagesystems-webhook-token", "authorization"]), header_values())
    )
