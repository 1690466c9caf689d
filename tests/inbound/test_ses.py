"""``POST /inbound/ses`` beyond its cases: signatures with a certificate at hand, confirmations, a mail all the way."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.builders.ses import CERTIFICATE_URL, TOPIC, build, signed
from relay.inbound.proof import sns
from relay.inbound.providers.ses import Ses
from relay.inbound.webhook.provider import Answers, Delivery, NotProven
from tests.examples import examples
from tests.harness import ADDRESS, MAIL, Relay
from tests.inbound import journey
from tests.inbound.contract import SharedSecretContract
from tests.inbound.posts import NOW, header_values, post
from tests.inbound.promises import (
    as_json,
    json_like,
    mails_or_refusal,
    proven_or_not,
)

SECRET = "secret-of-ses"
NAMES = [
    "Type",
    "TopicArn",
    "Message",
    "Token",
    "Timestamp",
    "SignatureVersion",
    "Signature",
    "SigningCertURL",
    "notificationType",
    "mail",
    "receipt",
    "timestamp",
    "messageId",
    "recipients",
    "action",
    "encoding",
    "type",
    "content",
    "spamVerdict",
    "status",
]
TOTAL = settings(max_examples=examples(60), deadline=None)
DAY = timedelta(days=1)


def certificate(*, begin: datetime = NOW - DAY, end: datetime = NOW + DAY) -> tuple[str, bytes]:
    """A private key, and a certificate of its public half, both PEM."""
    key = generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, end)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


@cache
def ours() -> tuple[str, bytes]:
    return certificate()


@cache
def good() -> dict[str, Any]:
    return signed(notification(), ours()[0])


def ses(pem: bytes | None = None, **more: Any) -> Ses:
    """With the certificate at the one URL where SNS has it."""
    known = {CERTIFICATE_URL: pem or ours()[1]}
    return Ses((TOPIC,), certificates=known.get, **more)


def notification(**more: str) -> dict[str, Any]:
    stamp = NOW.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    fixed = {
        "Type": "Notification",
        "MessageId": "m",
        "TopicArn": TOPIC,
        "Message": "héllo 日本",
        "Timestamp": stamp,
    }
    return fixed | more


def confirmation(**more: str) -> dict[str, Any]:
    return notification(
        Type="SubscriptionConfirmation", Token="t&x=1", SubscribeURL="https://evil.example/", **more
    )


def proven(message: object, provider: Ses | None = None) -> bool:
    return proven_or_not(provider or ses(), post(body=json.dumps(message).encode()))


def test_a_signed_mail_is_proven_and_parsed() -> None:
    _, headers, body = build(MAIL, [ADDRESS, "b@b.test"], ours()[0], NOW)
    request = post(headers, body)
    ses().verify(request)
    [delivery] = ses().parse(request)
    assert isinstance(delivery, Delivery)
    assert (delivery.recipients, delivery.raw) == ((ADDRESS, "b@b.test"), MAIL)


KINDS = {
    "notification": notification(),
    "with-subject": notification(Subject="s"),
    "confirmation": confirmation(),
    "unsubscribe": {**confirmation(), "Type": "UnsubscribeConfirmation"},
}


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", KINDS)
def test_both_signatures_of_all_kinds(version: str, kind: str) -> None:
    message = KINDS[kind]
    good = signed(message, ours()[0], version=version)
    assert proven(good)
    assert not proven({**good, "SignatureVersion": "1" if version == "2" else "2"})
    for name in message:
        assert not proven({**good, name: good[name] + " "}), name
        assert not proven({key: value for key, value in good.items() if key != name}), name
    if message["Type"] == "Notification":  # of the others it is no part
        assert not proven({**good, "Subject": "another"})


def test_a_member_that_is_not_signed_may_be_anything() -> None:
    assert proven({**good(), "UnsubscribeURL": 5, "X": {}, "Subject": None})


@pytest.mark.parametrize("signature", ["", "AAAA", "é", "!", "A" * 344, 5, None, []])
def test_a_signature_that_is_none(signature: object) -> None:
    assert not proven({**good(), "Signature": signature})


def test_another_key_an_expired_certificate_and_none_at_all() -> None:
    for begin, end in ((NOW - DAY, NOW + DAY), (NOW - 2 * DAY, NOW - DAY), (NOW + DAY, NOW + 2 * DAY)):
        private, pem = certificate(begin=begin, end=end)
        assert not proven(good(), ses(pem))
        assert proven(signed(notification(), private), ses(pem)) is (begin < NOW < end)
    for pem in (b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        assert not proven(good(), Ses((TOPIC,), certificates=lambda _url, pem=pem: pem))  # type: ignore[misc]


def test_a_certificate_that_is_not_here_is_asked_for_at_its_own_host_only() -> None:
    asked: list[str] = []
    provider = Ses((TOPIC,), certificates=asked.append)
    with pytest.raises(sns.CertificateNotReady) as wait:
        provider.verify(post(body=json.dumps(good()).encode()))
    assert (wait.value.status, wait.value.url, asked) == (503, CERTIFICATE_URL, [CERTIFICATE_URL])
    with pytest.raises(NotProven):
        provider.verify(post(body=json.dumps({**good(), "SigningCertURL": "https://evil.example/a.pem"}).encode()))
    assert asked == [CERTIFICATE_URL]


def test_a_subscription_is_confirmed_where_its_topic_is_whatever_its_url_says() -> None:
    asked: list[str] = []
    provider = ses(confirm=asked.append)
    body = json.dumps(signed(confirmation(), ours()[0])).encode()
    provider.verify(post(body=body))
    assert provider.parse(post(body=body)) == []
    topic = TOPIC.replace(":", "%3A")
    assert asked == [
        f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}&Token=t%26x%3D1"
    ]
    assert all(map(sns.is_amazon_sns, asked))
    other = json.dumps({**confirmation(), "Type": "UnsubscribeConfirmation"}).encode()
    assert provider.parse(post(body=other)) == []
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("topic", "is_one"),
    [
        (TOPIC, True),
        ("arn:aws-cn:sns:cn-north-1:123456789012:x", True),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:x.fifo", True),
        ("arn:aws:sns:s3-us-west-2:123456789012:x", False),
        ("arn:aws:sqs:eu-west-1:123456789012:x", False),
        ("arn:aws:sns:eu-west-1:1234:x", False),
        ("arn:aws:sns:eu-west-1:123456789012:x\n", False),
        ("a secret", False),
    ],
)
def test_what_is_a_topic(topic: str, is_one: bool) -> None:
    assert sns.is_topic(topic) is is_one


def test_china_has_its_own_host() -> None:
    url = sns.confirmation_url({"TopicArn": "arn:aws-cn:sns:cn-north-1:123456789012:x", "Token": "t"})
    assert url.startswith("https://sns.cn-north-1.amazonaws.com.cn/?")
    assert sns.is_amazon_sns(url)


@TOTAL
@given(st.dictionaries(st.sampled_from(NAMES), st.none() | st.integers() | st.text(max_size=9)), st.booleans())
def test_any_message_is_proven_or_not(members: dict[str, Any], known: bool) -> None:
    message = {**good(), **members}
    signs = {"Type", "TopicArn", "Message", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL"}
    same = all(members[name] == good()[name] for name in signs & set(members))
    assert proven(message if known else members) is (known and same)


@given(st.binary(max_size=100), header_values())
def test_any_body_of_any_type_is_mails_or_refused(body: bytes, content_type: bytes) -> None:
    request = post([("content-type", content_type)], body)
    assert mails_or_refusal(ses(), request) == []
    assert not proven_or_not(ses(), request)


def _wrapped(event: object) -> bytes:
    """The event inside of a message of SNS, with a recipient."""
    if isinstance(event, dict):
        event |= {"notificationType": "Received", "receipt": {"recipients": [ADDRESS]}}
        event = {"Type": "Notification", "Message": json.dumps(event)}
    return as_json(event)


@pytest.mark.anyio
@pytest.mark.settings(ses_secret=f"{TOPIC},{SECRET}")
async def test_who_proves_nothing_is_asked_for_a_password(relay: Relay) -> None:
    challenge = await relay.http.post("/inbound/ses", content=b"{}")
    assert (challenge.status_code, challenge.headers["www-authenticate"]) == (401, 'Basic realm="relay"')


class TestSes(SharedSecretContract):
    """With a secret in the URL; what SNS signs is above."""

    name = "ses"
    answers = Answers(not_proven=401, unreadable=200, too_large=413)
    secret = SECRET
    content_type = "text/plain; charset=UTF-8"
    mail = journey.MAIL + b"\xff\x00\r\n"
    bodies = json_like(NAMES).flatmap(lambda event: st.sampled_from([as_json(event), _wrapped(event)]))
