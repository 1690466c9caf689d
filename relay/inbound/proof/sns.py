"""Amazon SNS over HTTPS: who may have signed a message, and whether it did.

Source: Amazon's pages "Verifying the signatures of Amazon SNS messages" and "HTTP/HTTPS headers and JSON formats"
(2026). A good signature alone says only that the message came through SNS, where any customer has topics; the topic
must be one of ours. Its region then names the one host that the certificate can come from.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from relay.inbound.webhook.provider import NotProven, NotReady
from relay.inbound.webhook.values import moment, text, whole_text

Certificates = Callable[[str], bytes | None]  # PEM behind a URL; None = not here, and now asked for

MAX_AGE_SECONDS = 4500  # SNS tries for 3600 s at most; the rest is for clocks
_AHEAD_SECONDS = 900
_REGION = r"[a-z]{2}(?:-[a-z]+)+-[0-9]+"  # us-east-1, us-gov-west-1; never s3-us-west-2, which is a bucket's name
_TOPIC = re.compile(rf"arn:aws[a-z-]*:sns:({_REGION}):[0-9]{{12}}:[A-Za-z0-9_-]{{1,256}}(?:\.fifo)?")
_HOST_URL = re.compile(rf"https://sns\.{_REGION}\.amazonaws\.com(?:\.cn)?/[!-~]*")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{1,128}\.pem")
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_HASHES: Mapping[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # noqa: S303  # topics have 1 unless told


class CertificateNotReady(NotReady):
    """The certificate is not here yet; it has been asked for, and SNS tries again after 20 s."""

    def __init__(self, url: str) -> None:
        """``url`` is that of the certificate, at a host of Amazon's."""
        super().__init__("the certificate of this signature is being fetched from Amazon; send it again", url)


def is_topic(secret: str) -> bool:
    """Whether the text is the ARN of an SNS topic."""
    return _TOPIC.fullmatch(secret) is not None


def is_amazon_sns(url: str) -> bool:
    """Whether the URL is at a regional host of SNS; for :class:`relay.inbound.fetching.document_cache.Fetcher`."""
    return _HOST_URL.fullmatch(url) is not None


def verify(
    message: Mapping[str, Any], topics: frozenset[str], certificates: Certificates, *, now: datetime
) -> None:
    """Returns when SNS has signed the message for one of the topics.

    Raises NotProven, or CertificateNotReady: the message may be good.
    """
    topic = text(message, "TopicArn")
    if topic not in topics:
        raise NotProven("TopicArn is none of the topics in RELAY_SES_SECRET")
    if message.get("Type") not in _SIGNED:
        raise NotProven("Type is none that SNS signs; raw message delivery needs a shared secret in its URL")
    sent = moment(message.get("Timestamp"))
    if sent is None or not -_AHEAD_SECONDS <= (now - sent).total_seconds() <= MAX_AGE_SECONDS:
        raise NotProven(f"Timestamp is more than {MAX_AGE_SECONDS} s away from our clock")
    url, algorithm = text(message, "SigningCertURL"), _HASHES.get(text(message, "SignatureVersion"))
    host = _host_of(topic)
    if not url.startswith(host) or not _CERTIFICATE.fullmatch(url[len(host) :]) or algorithm is None:
        raise NotProven("SigningCertURL is no certificate of SNS in the region of the topic")
    pem = certificates(url)
    if pem is None:
        raise CertificateNotReady(url)
    if not _signed_by(pem, message, algorithm, now):
        raise NotProven("Signature does not match the message")


def confirmation_url(message: Mapping[str, Any]) -> str:
    """Where a GET confirms the subscription. Made of what is signed: SubscribeURL could name any host."""
    topic, token = text(message, "TopicArn"), text(message, "Token")
    query = urlencode({"Action": "ConfirmSubscription", "TopicArn": topic, "Token": token})
    return f"{_host_of(topic)}/?{query}"


def _host_of(topic: str) -> str:
    """``https://host`` of the topic's region; "https://" and nothing for what is no topic."""
    found = _TOPIC.fullmatch(topic)
    region = found[1] if found else ""
    return f"https://sns.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _signed_by(pem: bytes, message: Mapping[str, Any], algorithm: HashAlgorithm, now: datetime) -> bool:
    certificate = _certificate(pem)
    if certificate is None:
        return False
    key, begin, end = certificate
    if not begin <= now <= end:
        return False
    with suppress(InvalidSignature, ValueError):
        signature = base64.b64decode(text(message, "Signature").encode("ascii", "replace"), validate=True)
        key.verify(signature, _signed_text(message), PKCS1v15(), algorithm)
        return True
    return False


@lru_cache(maxsize=32)
def _certificate(pem: bytes) -> tuple[RSAPublicKey, datetime, datetime] | None:
    with suppress(ValueError):
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
        if isinstance(key, RSAPublicKey):
            return key, certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return None


def _signed_text(message: Mapping[str, Any]) -> bytes:
    """Name, line end, value, line end, for each signed member that is there. A lone surrogate cannot be: see values."""
    names = _SIGNED.get(text(message, "Type"), ())
    present = [name for name in names if isinstance(message.get(name), str)]
    return "".join(f"{name}\n{whole_text(message, name)}\n" for name in present).encode()
