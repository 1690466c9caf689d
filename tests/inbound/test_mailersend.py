"""``POST /inbound/mailersend``: what cases cannot show: any input, the way through the door, and its cost in tries."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from relay.builders import Built
from relay.builders.mailersend import build
from relay.inbound.providers.mailersend import MailerSend
from relay.inbound.webhook.provider import Answers, NotProven
from tests.harness import ADDRESS, Relay
from tests.inbound.cases import FOLDER, read
from tests.inbound.contract import JsonContract, SignedContract, bodies_like
from tests.inbound.journey import MAIL, as_post
from tests.inbound.posts import NOW, header_values, post

SECRET = "the-route's-secret-é"
PUBLIC = "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"  # in MailerSend's documentation
EVENT: dict[str, Any] = json.loads(read(FOLDER / "mailersend" / "without-raw.http").body)

provider = MailerSend((SECRET,))


def test_the_signature_is_hex_in_either_case_and_covers_the_body() -> None:
    good = as_post(Built(*build(MAIL, [ADDRESS], SECRET, NOW)), NOW)
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


@pytest.mark.anyio
@pytest.mark.settings(mailersend_secret=SECRET)
async def test_each_recipient_of_the_envelope_is_answered(relay: Relay) -> None:
    recipients = [ADDRESS, "nobody@mailsac.com"]
    target, headers, body = build(MAIL, recipients, SECRET, datetime.now(UTC))
    answer = await relay.http.post(target, content=body, headers=headers)
    assert [one["inbox"] for one in answer.json()["accepted"]] == [ADDRESS]
    assert answer.json()["rejected"] == [{"inbox": "nobody@mailsac.com", "reason": "not reserved"}]


class TestMailerSend(SignedContract, JsonContract):
    """Nothing is answered 4xx that a later try could mend."""

    name = "mailersend"
    answers = Answers(not_proven=503, unreadable=200, too_large=413)
    secret = SECRET
    called = "MailerSend"
    bodies = bodies_like(EVENT)
    heads = header_values().map(lambda signature: [("signature", signature)])
