"""``POST /inbound/cloudmailin`` beyond its cases: anything that may be posted, and one mail all the way."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.builders.cloudmailin import build
from relay.inbound.providers.cloudmailin import CloudMailin
from relay.inbound.webhook.provider import Delivery
from tests.harness import ADDRESS, MAIL, Relay
from tests.inbound.posts import header_values, post
from tests.inbound.promises import (
    TEXT,
    as_json,
    assert_keeps,
    json_like,
    mails_or_refusal,
    proven_or_not,
    through_the_door,
)

SECRET = "secret-of-cloudmailin"
provider = CloudMailin((SECRET,))
NAMES = (
    "envelope headers plain html attachments to recipients from remote_ip tls spamd score success message content"
    " url file_name content_type content_id disposition received message_id"
)
TOTAL = settings(max_examples=200, deadline=None)
BOUNDARY = "----cloudmailin"
FORM = ("content-type", f"multipart/form-data; boundary={BOUNDARY}")


def form(*fields: tuple[str, bytes]) -> bytes:
    parts = (
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        % (BOUNDARY.encode(), name.encode("utf-8", "replace"), value)
        for name, value in fields
    )
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@pytest.mark.anyio
@pytest.mark.settings(cloudmailin_secret=f"new,{SECRET}")
async def test_a_mail_goes_all_the_way_once(relay: Relay) -> None:
    target, headers, body = build(MAIL, [ADDRESS], SECRET, datetime.now(UTC))
    message = await through_the_door(relay, target, headers, body)
    assert (message["inbox"], message["raw"].encode()) == (ADDRESS, MAIL)
    assert (message["ip"], message["rtls"]) == ("192.0.2.1", True)
    refusal = await relay.http.post(target, headers=headers[1:], content=body)
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


def test_a_field_above_1_mib_is_whole() -> None:
    text = b"line of text\n" * 100_000
    for name in ("plain", "html"):
        fields = (("envelope[to]", ADDRESS.encode()), (name, text))
        [delivery] = provider.parse(post([FORM], form(*fields)))
        assert isinstance(delivery, Delivery)
        assert (delivery.parts.text or delivery.parts.html).encode() == text


@TOTAL
@given(json_like(NAMES.split()), st.booleans())
def test_any_json_is_mails_or_refused(event: object, named: bool) -> None:
    if named and isinstance(event, dict):
        event["envelope"] = {"to": ADDRESS, **(event if len(event) < 4 else {})}
    mails_or_refusal(provider, post([("content-type", "application/json")], as_json(event)))


KEYS = st.lists(st.sampled_from([*NAMES.split(), "", "0", "["]), min_size=1, max_size=4).map(
    lambda keys: keys[0] + "".join(f"[{key}]" for key in keys[1:])
)


@TOTAL
@given(
    st.lists(st.tuples(KEYS | TEXT.map(lambda name: name.replace('"', "")), st.binary(max_size=30)), max_size=9)
)
def test_any_form_is_mails_or_refused(fields: list[tuple[str, bytes]]) -> None:
    body = form(*fields, ("envelope[to]", ADDRESS.encode()))
    mails_or_refusal(provider, post([FORM], body))


@given(st.binary(max_size=100), header_values())
def test_any_body_of_any_type_is_mails_or_refused(body: bytes, content_type: bytes) -> None:
    assert mails_or_refusal(provider, post([("content-type", content_type)], body)) == []


@given(st.lists(st.tuples(st.sampled_from(["authorization"]), header_values())), st.text(max_size=20))
def test_any_credentials_are_not_proven(headers: list[tuple[str, bytes]], query: str) -> None:
    assert not proven_or_not(provider, post(headers, query=query))


def test_the_secret_is_shown_nowhere() -> None:
    wrong = base64.b64encode(f"x:{SECRET}x".encode()).decode()
    assert_keeps(
        SECRET, provider, post([("authorization", f"Basic {wrong}")]), post(query=f"token={SECRET}", body=b"x")
    )
