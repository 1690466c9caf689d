"""``POST /inbound/mailersend``: what cases cannot show: any input, the way through the door, and its cost in tries."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from relay.builders.mailersend import build
from relay.errors import BadRequest, NotAMail, UnsupportedMediaType
from relay.inbound.providers.mailersend import MailerSend
from relay.inbound.webhook.provider import Answers, Delivery, NotProven
from tests.harness import ADDRESS, Relay
from tests.inbound.cases import FOLDER, read
from tests.inbound.journey import MAIL, built, send
from tests.inbound.json_events import damaged
from tests.inbound.posts import header_values, post

SECRET = "the-route's-secret-é"
OLD = "the-secret-before"
PUBLIC = "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"  # in MailerSend's documentation
EVENT: dict[str, Any] = json.loads(read(FOLDER / "mailersend" / "without-raw.http").body)

provider = MailerSend((SECRET,))


@pytest.mark.anyio
@pytest.mark.settings(mailersend_secret=f"{SECRET},{OLD}")
async def test_a_mail_arrives_byte_for_byte_and_once(relay: Relay) -> None:
    now = datetime.now(UTC)
    async with relay.listen() as socket:
        for secret in (OLD, SECRET, SECRET):
            answer = await send(relay, build, secret, now=now, recipients=(ADDRESS, "nobody@mailsac.com"))
            assert answer.status_code == 200
        message = await socket.message()
        assert answer.json()["accepted"][0]["duplicate"]
        assert answer.json()["rejected"] == [{"inbox": "nobody@mailsac.com", "reason": "not reserved"}]
    assert message["raw"].encode() == MAIL
    assert (message["inbox"], message["subject"], message["text"]) == (ADDRESS, "Hello", "Hällo, world.")
    assert "rawSynthesized" not in message


@pytest.mark.anyio
@pytest.mark.settings(mailersend_secret=SECRET)
async def test_no_secret_is_shown(relay: Relay) -> None:
    with capture_logs() as logs:
        answer = await send(relay, build, "another")
        assert answer.status_code != 200
        await send(relay, build, SECRET)
    for shown in (answer.text, str(logs), repr(provider), str(provider)):
        assert SECRET not in shown


def test_nothing_is_answered_4xx_that_a_later_try_could_mend() -> None:
    assert provider.answers == Answers(not_proven=503, unreadable=200, too_large=413)


def test_the_signature_is_hex_in_either_case_and_covers_the_body() -> None:
    good = built(build, SECRET)
    provider.verify(good)
    signature = good.headers["signature"]
    provider.verify(post([("Signature", signature.upper())], good.body))
    for wrong in ("", signature[:-1], f"{signature}0", f"sha256={signature}"):
        with pytest.raises(NotProven):
            provider.verify(post([("Signature", wrong)], good.body))
    with pytest.raises(NotProven):
        provider.verify(replace(good, body=good.body + b" "))


def test_a_test_is_small_for_anybody_can_sign_one() -> None:
    for size, proven in ((4096, True), (4097, False)):
        body = b'{"type": "webhook.test"'.ljust(size - 1) + b"}"
        signature = hmac.new(PUBLIC.encode(), body, hashlib.sha256).hexdigest()
        with nullcontext() if proven else pytest.raises(NotProven):
            provider.verify(post([("Signature", signature)], body))


@given(header_values(), st.binary(max_size=200))
def test_any_post_is_not_proven(signature: bytes, body: bytes) -> None:
    with pytest.raises(NotProven):
        provider.verify(post([("signature", signature)], body))


@settings(max_examples=300, deadline=None)
@given(damaged(EVENT) | st.binary(max_size=60))
def test_any_body_is_deliveries_or_refused(body: bytes) -> None:
    with suppress(BadRequest, NotAMail, UnsupportedMediaType):
        for delivery in provider.parse(post([], body)):
            assert isinstance(delivery, Delivery)
            assert delivery.recipients
            assert delivery.received.tzinfo
            assert delivery.raw


def test_what_another_provider_posts_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedMediaType, match="the JSON of MailerSend"):
        provider.parse(post([("Content-Type", "message/rfc822")], MAIL))


def test_a_large_mail_fits() -> None:
    body = "\r\n".join(["ünïcödé " * 12] * 30_000)
    mail = f"From: a@b.test\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n".encode()
    request = built(build, SECRET, mail)
    assert len(mail) > 1 << 20
    assert len(request.body) < provider.body_limit(len(mail))
    [delivery] = provider.parse(request)
    assert delivery.raw == mail
