"""``POST /inbound/postmark`` beyond its cases: anything that may be posted, and one mail all the way."""

from __future__ import annotations

from relay.inbound.providers.postmark import Postmark
from relay.inbound.webhook.provider import Answers, Delivery
from tests.harness import ADDRESS
from tests.inbound.contract import JsonContract, SharedSecretContract
from tests.inbound.posts import post
from tests.inbound.promises import (
    as_json,
    json_like,
)

provider = Postmark(("secret-of-postmark",))
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


def test_a_field_above_1_mib_is_whole() -> None:
    text = "line of text\n" * 100_000
    [delivery] = provider.parse(
        post(body=as_json({"OriginalRecipient": ADDRESS, "TextBody": text, "Subject": "big"}))
    )
    assert isinstance(delivery, Delivery)
    assert (delivery.parts.text, delivery.raw_synthesized) == (text, True)


class TestPostmark(SharedSecretContract, JsonContract):
    """403 alone ends its tries."""

    name = "postmark"
    answers = Answers(not_proven=401, unreadable=403, too_large=403)
    called = "Postmark's inbound webhook"
    bodies = json_like(NAMES).map(
        lambda event: as_json(event | {"OriginalRecipient": ADDRESS} if isinstance(event, dict) else event)
    )
