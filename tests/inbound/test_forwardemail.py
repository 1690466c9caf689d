"""``POST /inbound/forwardemail`` beyond its cases: anything that may be posted, and one mail all the way."""

from __future__ import annotations

import hashlib
import hmac
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st

from relay.inbound.providers.forwardemail import ForwardEmail
from relay.inbound.webhook.provider import Answers, Delivery
from tests.examples import examples
from tests.harness import ADDRESS
from tests.inbound.contract import JsonContract, NamedByMailContract, SharedSecretContract, SignedContract
from tests.inbound.posts import header_values, post
from tests.inbound.promises import (
    as_json,
    json_like,
)

SECRET = "secret-of-forwardemail"
provider = ForwardEmail((SECRET,))
NAMES = (
    "raw headers headerLines line text html attachments content data type filename contentType contentDisposition cid"
    " recipients session recipient remoteAddress provider mta arrivalDate key"
)
TOTAL = settings(max_examples=examples(60), deadline=None)


def signed(body: bytes) -> list[tuple[str, str]]:
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return [("content-type", "application/json"), ("x-webhook-signature", digest)]


def test_a_file_above_1_mib_is_whole() -> None:
    content = bytes(range(256)) * 5000
    attachment = {"filename": "big", "content": {"type": "Buffer", "data": list(content)}}
    event = {"recipients": [ADDRESS], "text": "text", "attachments": [attachment]}
    [delivery] = provider.parse(post(body=as_json(event)))
    assert isinstance(delivery, Delivery)
    assert delivery.parts.attachments == (hashlib.md5(content, usedforsecurity=False).hexdigest(),)


class TestForwardEmail(SharedSecretContract, SignedContract, JsonContract, NamedByMailContract):
    """Its builder signs; a domain without a key posts the secret in the URL. 408 makes the sending server try again."""

    name = "forwardemail"
    answers = Answers(not_proven=408, too_large=400, unavailable=408)
    called = "Forward Email"
    known: ClassVar = {"ip": "192.0.2.1", "via": "mx1.forwardemail.net"}
    bodies = json_like(NAMES.split()).map(
        lambda event: as_json(event | {"recipients": [ADDRESS]} if isinstance(event, dict) else event)
    )
    heads = st.lists(st.tuples(st.sampled_from(["authorization", "x-webhook-signature"]), header_values()))
