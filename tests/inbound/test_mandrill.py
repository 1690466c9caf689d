"""``POST /inbound/mandrill``: inbound webhooks by HTTP, in batches, and whatever else a stranger may post there."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.builders.mandrill import build
from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.providers.mandrill import Mandrill
from relay.inbound.webhook.provider import Answers, Delivery, NotProven, Unreadable
from tests.harness import ADDRESS, MAIL, Relay
from tests.inbound.contract import SignedContract
from tests.inbound.posts import NOW, header_values, post

KEY = "key-of-mandrill"
FORM = [("content-type", "application/x-www-form-urlencoded")]

provider = Mandrill((KEY,))


@pytest.mark.anyio
@pytest.mark.settings(mandrill_secret=KEY)
async def test_a_batch_arrives_and_is_delivered_once(relay: Relay) -> None:
    target, headers, body = build(MAIL, [ADDRESS, "second@mailsac.com"], KEY, datetime.now(UTC))
    async with relay.listen(f"{ADDRESS},second@mailsac.com") as socket:
        first = await relay.http.post(target, headers=headers, content=body)
        messages = [await socket.message() for _ in range(2)]
        again = await relay.http.post(target, headers=headers, content=body)
        await relay.send("the next")
        assert await socket.subject() == "the next"
    assert (first.status_code, again.status_code) == (200, 200)
    assert {message["inbox"] for message in messages} == {ADDRESS, "second@mailsac.com"}
    assert {message["raw"].encode() for message in messages} == {MAIL}
    assert [one["duplicate"] for one in again.json()["accepted"]] == [True, True]


@pytest.mark.anyio
@pytest.mark.settings(mandrill_secret="a-placeholder-until-the-key-is-known")
async def test_a_webhook_can_be_made_before_its_key_is_known(relay: Relay) -> None:
    signed = b"https://relay.example.com/inbound/mandrillmandrill_events[]"
    signature = base64.b64encode(hmac.new(b"test-webhook", signed, hashlib.sha1).digest()).decode()
    headers = {"host": "relay.example.com", "x-mandrill-signature": signature}
    answer = await relay.http.post("/inbound/mandrill", data={"mandrill_events": "[]"}, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"accepted": [], "rejected": []})


@pytest.mark.parametrize(
    ("typed_in", "known", "proven"),
    [
        ("https://mail.example.com", "https://mail.example.com/inbound/mandrill", True),
        ("https://mail.example.com:444", "https://mail.example.com:444/inbound/mandrill", True),
        ("http://mail.example.com", "https://mail.example.com/inbound/mandrill", False),
        ("https://mail.example.com", "https://mail.example.com/inbound/mandrill/", False),
        ("https://mail.example.com", "https://other.example.com/inbound/mandrill", False),
        ("https://mail.example.com", "http://[", False),
    ],
)
def test_the_url_that_the_door_knows_counts_whatever_the_proxy_made_of_the_host(
    typed_in: str, known: str, proven: bool
) -> None:
    _, headers, body = build(MAIL, [ADDRESS], KEY, NOW, url=typed_in)
    inside = [("host", "10.0.0.5:8000") if name == "host" else (name, value) for name, value in headers]
    request = replace(post(inside, body), url=known)
    if proven:
        provider.verify(request)
    else:
        with pytest.raises(NotProven):
            provider.verify(request)


def test_the_host_of_the_request_will_do_beside_the_public_url_with_the_very_target() -> None:
    events = "[]"
    typed_in = "https://second.example.com/inbound/mandrill?a=%20b"
    signature = hmac.new(KEY.encode(), f"{typed_in}mandrill_events{events}".encode(), hashlib.sha1).digest()
    headers = [
        *FORM,
        ("host", "second.example.com"),
        ("x-mandrill-signature", base64.b64encode(signature).decode()),
    ]
    body = urlencode({"mandrill_events": events}).encode()
    provider.verify(replace(post(headers, body), url="https://first.example.com/inbound/mandrill?a=%20b"))


def posted(events: object) -> Any:
    return provider.parse(post(FORM, urlencode({"mandrill_events": json.dumps(events)}).encode()))


def event(recipient: str, raw: str = MAIL.decode()) -> dict[str, Any]:
    return {"event": "inbound", "ts": 1, "msg": {"email": recipient, "raw_msg": raw}}


def test_what_cannot_be_read_is_a_post_of_its_own() -> None:
    good, bad, last = posted([event("a@b.test"), event("c@d.test", "no mail & none"), event("e@f.test")])
    assert isinstance(good, Delivery)
    assert isinstance(last, Delivery)
    assert isinstance(bad, Unreadable)
    [delivery] = provider.parse(post(FORM, bad.body.replace(b"no+mail", b"Subject:+mended")))
    assert isinstance(delivery, Delivery)
    assert (delivery.recipients, delivery.parts.subject) == (("c@d.test",), "mended & none")


def test_the_same_mail_at_another_time_is_another() -> None:
    names = {posted([event("a@b.test") | {"ts": ts}])[0].event for ts in (1, 2, 2, "2", None)}
    assert len(names) == 3


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(MAIL.decode()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["email", "name", "type", "content", "base64", "score", "x"]), inner, max_size=3
        )
    ),
    max_leaves=10,
)
MEMBERS = [
    "raw_msg",
    "headers",
    "text",
    "html",
    "subject",
    "from_email",
    "to",
    "cc",
    "attachments",
    "images",
    "spam_report",
]
MSGS = st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=5).map(lambda msg: {"email": "a@b.test", **msg})
EVENTS = VALUES | st.builds(lambda msg, ts: {"event": "inbound", "msg": msg, "ts": ts}, MSGS | VALUES, VALUES)


@given(st.lists(EVENTS, max_size=4))
def test_any_batch_is_mails_and_unreadable_events_or_refused(events: list[object]) -> None:
    with suppress(BadRequest):
        for one in posted(events):
            if isinstance(one, Unreadable):
                assert one.reason
                assert one.body.startswith(b"mandrill_events=")
            else:
                assert one.recipients[0]
                assert one.received.tzinfo
                assert one.spam is None or 0 <= one.spam <= 1


@given(
    st.binary(max_size=100) | st.binary(max_size=60).map(lambda body: b"mandrill_events=" + body), header_values()
)
def test_any_body_of_any_type_is_refused(body: bytes, kind: bytes) -> None:
    for headers in ([("content-type", kind)], FORM):
        with suppress(BadRequest, UnsupportedMediaType):
            assert not provider.parse(post(headers, body))


NAMES = st.sampled_from(["x-mandrill-signature", "authorization", "host", "x-forwarded-host"])
ODD = st.sampled_from([b"Basic YTpi", b"Basic /////w==", b"[::1]:80", b"a/b", base64.b64encode(bytes(20))])


@given(st.lists(st.tuples(NAMES, header_values() | ODD)), st.binary(max_size=30), st.text(max_size=20))
def test_whatever_the_head_and_the_url_say_is_not_proven(
    headers: list[tuple[str, bytes]], body: bytes, url: str
) -> None:
    for request in (
        post([*FORM, *headers], body),
        replace(post([*FORM, *headers], b"mandrill_events=[]"), url=url),
    ):
        with pytest.raises(NotProven):
            provider.verify(request)


class TestMandrill(SignedContract):
    """The signature is over the URL and the form."""

    name = "mandrill"
    answers = Answers(not_proven=401, unreadable=200, too_large=413)
    content_type = FORM[0][1]
    bodies = st.lists(EVENTS, max_size=4).map(
        lambda events: urlencode({"mandrill_events": json.dumps(events)}).encode()
    )
    heads = st.lists(st.tuples(NAMES, header_values() | ODD))
