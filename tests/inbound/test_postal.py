"""``POST /inbound/postal`` beyond its cases: anything that may be posted, and one mail all the way."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.builders.postal import build
from relay.errors import ConfigError
from relay.inbound.providers.postal import Postal
from relay.inbound.webhook.provider import Answers, Delivery
from tests.examples import examples
from tests.harness import ADDRESS, MAIL
from tests.inbound import journey
from tests.inbound.contract import JsonContract, SharedSecretContract, SignedContract
from tests.inbound.posts import header_values, post
from tests.inbound.promises import (
    BASE64,
    TEXT,
    as_json,
    json_like,
    mails_or_refusal,
    proven_or_not,
)

SECRET = "secret-of-postal"
_KEY = generate_private_key(65537, 2048)
PRIVATE_KEY = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PEM = _KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PUBLIC_KEY = "".join(PEM.splitlines()[1:-1])
provider = Postal((SECRET,))
NAMES = [
    "id",
    "rcpt_to",
    "mail_from",
    "message",
    "base64",
    "size",
    "token",
    "subject",
    "message_id",
    "timestamp",
    "spam_status",
    "received_with_ssl",
    "to",
    "cc",
    "from",
    "date",
    "reply_to",
    "html_body",
    "plain_body",
    "replies_from_plain_body",
    "attachments",
    "filename",
    "content_type",
    "data",
    "event",
]
TOTAL = settings(max_examples=examples(60), deadline=None)
FORM = ("content-type", "application/x-www-form-urlencoded")


@pytest.mark.parametrize("key", [PUBLIC_KEY, f"p={PUBLIC_KEY};", PEM, f" {PEM}\n"])
def test_a_key_is_taken_however_it_is_pasted(key: str) -> None:
    _, headers, body = build(MAIL, [ADDRESS], PRIVATE_KEY, datetime.now(UTC))
    Postal((key,)).verify(post(headers, body))
    assert not proven_or_not(Postal((key,)), post(headers, body + b" "))


def test_a_key_that_cannot_be_read_ends_the_start() -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for key in (PUBLIC_KEY[:-8], f"p={PUBLIC_KEY}é", "-----BEGIN PUBLIC KEY-----", other.decode(), "MIIB"):
        with pytest.raises(ConfigError, match="RELAY_POSTAL_SECRET: a public key") as wrong:
            Postal((SECRET, key))
        assert PUBLIC_KEY[:40] not in str(wrong.value)


def test_a_form_field_above_1_mib_is_whole() -> None:
    mail = b"Subject: big\r\n\r\n" + bytes(range(256)) * 5000
    body = urlencode({"rcpt_to": ADDRESS, "message": base64.encodebytes(mail), "base64": "true"}).encode()
    [delivery] = provider.parse(post([FORM], body))
    assert isinstance(delivery, Delivery)
    assert delivery.raw == mail


def test_two_servers_that_count_alike_are_two_events() -> None:
    def event(mail: bytes, number: int) -> str:
        message = base64.b64encode(mail).decode()
        [delivery] = provider.parse(post(body=as_json({"rcpt_to": ADDRESS, "message": message, "id": number})))
        assert isinstance(delivery, Delivery)
        return delivery.event

    assert event(MAIL, 1) == event(MAIL, 1)
    assert len({event(MAIL, 1), event(MAIL, 2), event(MAIL + b"x", 1)}) == 3


FIELDS = st.sampled_from([*NAMES, "attachments[0][data]", "attachments[0][filename]", "attachments[]"]) | TEXT


@TOTAL
@given(st.lists(st.tuples(FIELDS, TEXT | BASE64), max_size=9))
def test_any_form_is_mails_or_refused(fields: list[tuple[str, str]]) -> None:
    body = urlencode([*fields, ("rcpt_to", ADDRESS)], errors="surrogatepass").encode()
    mails_or_refusal(provider, post([FORM], body))


class TestPostal(SharedSecretContract, JsonContract):
    """The secret is in the URL of the endpoint."""

    name = "postal"
    answers = Answers(not_proven=503)
    called = "Postal's HTTP endpoint"
    mail = journey.MAIL + b"\xff\x00\r\n"
    bodies = json_like(NAMES).map(
        lambda event: as_json(event | {"rcpt_to": ADDRESS} if isinstance(event, dict) else event)
    )
    heads = st.lists(
        st.tuples(
            st.sampled_from(["authorization", "x-postal-signature", "x-postal-signature-256"]), header_values()
        )
    )


class TestPostalSigned(SignedContract):
    """The same posts with the key of the server as proof."""

    name = "postal"
    answers = TestPostal.answers
    secret = PRIVATE_KEY
    proof = PUBLIC_KEY
    mail = TestPostal.mail
    bodies = TestPostal.bodies
    heads = TestPostal.heads
