"""``POST /inbound/sendgrid``: Inbound Parse by HTTP, and whatever else a stranger may post there."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from relay.builders.sendgrid import build
from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.providers.sendgrid import SendGrid
from relay.inbound.webhook.provider import Answers, Delivery, NotProven
from tests.harness import ADDRESS, MAIL, Relay
from tests.inbound import journey
from tests.inbound.contract import SharedSecretContract, SignedContract, StampedContract
from tests.inbound.posts import NOW, header_values, post

_KEY = ec.derive_private_key(20_260_901, ec.SECP256R1())
PRIVATE_KEY = base64.b64encode(_KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()
PUBLIC_KEY = base64.b64encode(
    _KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
PASSWORD = "password-in-the-url"
MULTIPART = "multipart/form-data; boundary=b"

provider = SendGrid((PASSWORD,))
signed = SendGrid((PUBLIC_KEY,))


@pytest.mark.anyio
@pytest.mark.settings(sendgrid_secret=f"{PASSWORD},{PUBLIC_KEY}")
@pytest.mark.parametrize("secret", [PASSWORD, PRIVATE_KEY], ids=["token", "signature"])
async def test_a_posted_mail_arrives_byte_for_byte_and_once(relay: Relay, secret: str) -> None:
    mail = MAIL + b"8-bit \xe9\xff\0\r\n"
    target, headers, body = build(mail, [ADDRESS, "second@mailsac.com"], secret, datetime.now(UTC))
    async with relay.listen(f"{ADDRESS},second@mailsac.com") as socket:
        first = await relay.http.post(target, headers=headers, content=body)
        messages = [await socket.message() for _ in range(2)]
        target, headers, body = build(mail, [ADDRESS], secret, datetime.now(UTC))  # signed anew
        again = await relay.http.post(target, headers=headers, content=body)
        await relay.send("the next")
        assert await socket.subject() == "the next"
    assert (first.status_code, again.status_code) == (200, 200)
    assert {message["inbox"] for message in messages} == {ADDRESS, "second@mailsac.com"}
    assert {message["raw"].encode("latin-1") for message in messages} == {mail}
    assert {message["ip"] for message in messages} == {"192.0.2.7"}
    assert again.json()["accepted"][0]["duplicate"] is True


def test_a_key_that_is_none_of_p256_proves_nothing() -> None:
    other = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    der = base64.b64encode(other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    _, headers, body = build(MAIL, [ADDRESS], PRIVATE_KEY, NOW)
    for key in (
        "MFkw",
        "MFkwé",
        "MFkw====",
        PUBLIC_KEY[:-8],
        f"-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----",
    ):
        for request in (
            post(headers, body),
            post(query=f"token={key}"),
            post([("Authorization", f"Bearer {key}")]),
        ):
            with pytest.raises(NotProven):
                SendGrid((key,)).verify(request)


def test_a_signature_is_waited_for_and_a_password_is_not() -> None:
    _, headers, _body = build(MAIL, [ADDRESS], PRIVATE_KEY, NOW)
    assert not signed.proof_in_head(post(headers).headers)
    assert provider.proof_in_head(post([("Authorization", "Basic x")]).headers)


def form(fields: list[tuple[str, bytes]]) -> bytes:
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)
        for name, value in fields
    ]
    return b"".join(parts) + b"--b--\r\n"


def test_what_the_html_shows_is_inline_and_the_rest_is_attached() -> None:
    info = b'{"attachment1":{"filename":"1.png","content-id":"<one@x>"},"attachment2":{"filename":"2.png"}}'
    fields = [ENVELOPE, ("html", b'<img src="cid:one@x">'), ("attachment-info", info)]
    files = [('attachment1"; filename="x', b"1"), ('attachment2"; filename="y', b"2")]
    [delivery] = provider.parse(post([("content-type", MULTIPART)], form([*fields, *files])))
    assert isinstance(delivery, Delivery)
    assert b'inline; filename="1.png"\r\nContent-ID: <one@x>' in delivery.raw
    assert b'attachment; filename="2.png"\r\n' in delivery.raw


def test_a_field_of_more_than_a_megabyte_is_whole() -> None:
    mail = MAIL + b"line \xe9\r\n" * 200_000
    [delivery] = provider.parse(
        post([("content-type", MULTIPART)], form([("envelope", b'{"to":["a@b.test"]}'), ("email", mail)]))
    )
    assert isinstance(delivery, Delivery)
    assert delivery.raw == mail


ENVELOPE = ("envelope", json.dumps({"to": [ADDRESS]}).encode())
NAMES = st.sampled_from(
    [
        "envelope",
        "charsets",
        "headers",
        "text",
        "html",
        "subject",
        "email",
        "spam_score",
        "sender_ip",
        "attachment-info",
        "from",
    ]
)
VALUES = st.binary(max_size=30) | st.sampled_from(
    [
        b"[" * 5000,
        b'{"to":' * 5000,
        b'{"to":[5,"",null]}',
        b'{"to":"a@b.test"}',
        b'{"text":["x"],"html":"idna","subject":"undefined"}',
        b"nan",
        b"1e999",
        b"From: x",
        b"\r\n\r\n",
        b"\xff\xfe",
        b'{"to":["\\ud800@b.test"]}',
    ]
)


PROOFS = st.sampled_from(
    ["authorization", "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"]
)
ODD = st.sampled_from([str(int(NOW.timestamp())).encode(), b"9" * 400, b"MEUCIQ==", b"MA==", b""])


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_whatever_a_form_holds_is_a_delivery_or_refused(fields: list[tuple[str, bytes]]) -> None:
    with suppress(BadRequest):
        [delivery] = provider.parse(post([("content-type", MULTIPART)], form([ENVELOPE, *fields])))
        assert isinstance(delivery, Delivery)
        assert delivery.recipients[0]
        assert delivery.received.tzinfo
        assert delivery.spam is None or 0 <= delivery.spam <= 1


@given(
    st.lists(
        st.tuples(
            PROOFS,
            header_values() | ODD,
        )
    ),
    st.binary(max_size=60),
)
def test_whatever_the_head_says_is_not_proven(headers: list[tuple[str, bytes]], body: bytes) -> None:
    for one in (provider, signed, SendGrid((PASSWORD, PUBLIC_KEY))):
        with pytest.raises(NotProven):
            one.verify(post(headers, body))


@given(st.binary(max_size=200), st.sampled_from([MULTIPART, "application/json", "text/plain"]) | header_values())
def test_any_body_of_any_type_is_refused(body: bytes, kind: str | bytes) -> None:
    with pytest.raises((BadRequest, UnsupportedMediaType)):
        provider.parse(post([("content-type", kind)], body))


def test_the_time_is_signed_and_who_replays_is_known_for_longer_than_it_is_accepted() -> None:
    _, headers, body = build(MAIL, [ADDRESS], PRIVATE_KEY, NOW)
    later = [(name, value if "timestamp" not in name else str(int(value) + 1)) for name, value in headers]
    with pytest.raises(NotProven):
        signed.verify(post(later, body))
    [delivery] = provider.parse(post(headers, body))
    assert isinstance(delivery, Delivery)
    assert delivery.retry_seconds > timedelta(days=3, hours=1, minutes=5).total_seconds()


class TestSendGrid(SharedSecretContract):
    """A wrong secret makes SendGrid come again, and a broken post is parked."""

    name = "sendgrid"
    answers = Answers(not_proven=503, unreadable=200, too_large=413)
    content_type = MULTIPART
    mail = journey.MAIL + b"8-bit \xe9\xff\0\r\n"
    known: ClassVar = {"ip": "192.0.2.7"}
    bodies = st.lists(st.tuples(NAMES, VALUES), max_size=8).map(lambda fields: form([ENVELOPE, *fields]))
    heads = st.lists(st.tuples(PROOFS, header_values() | ODD))


class TestSendGridSigned(SignedContract, StampedContract):
    """The same posts with a security policy's key as proof."""

    name = "sendgrid"
    answers = TestSendGrid.answers
    secret = PRIVATE_KEY
    proof = PUBLIC_KEY
    content_type = MULTIPART
    mail = TestSendGrid.mail
    known = TestSendGrid.known
    bodies = TestSendGrid.bodies
    heads = TestSendGrid.heads
    step = 37
    max_age = timedelta(days=3, hours=1)
    max_ahead = timedelta(minutes=5)
