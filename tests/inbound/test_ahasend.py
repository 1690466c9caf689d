"""``POST /inbound/ahasend``: what cases cannot show: any input, the way through the door, and its cost in tries."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from relay.inbound.proof.signature import TOLERANCE_SECONDS
from relay.inbound.providers.ahasend import AhaSend
from relay.inbound.webhook.provider import Answers
from tests.inbound.cases import FOLDER, read
from tests.inbound.contract import JsonContract, SignedContract, StampedContract, bodies_like
from tests.inbound.journey import filenames
from tests.inbound.posts import NOW, header_values, post

SECRET = "aha-rsec-the-secret-of-the-route"
EVENT: dict[str, Any] = json.loads(read(FOLDER / "ahasend" / "attachments.http").body)

provider = AhaSend((SECRET,))


def test_the_event_is_the_webhook_id() -> None:
    body = json.dumps(EVENT).encode()
    [named] = provider.parse(post([("Webhook-Id", "w1")], body))
    [unnamed] = provider.parse(post([], body))
    assert (named.event, unnamed.event) == ("id:w1", "id:route-msg-12345")


def test_files_keep_their_names() -> None:
    [delivery] = provider.parse(post([], json.dumps(EVENT).encode()))
    assert filenames(delivery.raw) == ["logo.png", "a.csv", None]


class TestAhaSend(StampedContract, SignedContract, JsonContract):
    """Standard Webhooks sign it; what cannot be read is taken, for no try would end otherwise."""

    name = "ahasend"
    answers = Answers(not_proven=401, unreadable=200, too_large=413)
    secret = SECRET
    called = "AhaSend"
    rebuilt = True
    bodies = bodies_like(EVENT)
    heads = st.tuples(header_values(), header_values()).map(
        lambda pair: [
            ("webhook-id", pair[0]),
            ("webhook-timestamp", str(int(NOW.timestamp()))),
            ("webhook-signature", pair[1]),
        ]
    )
    max_age = max_ahead = timedelta(seconds=TOLERANCE_SECONDS)
