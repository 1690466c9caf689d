"""Posts a mail as Amazon SES would through SNS: signed for a topic, or with a shared secret in the URL."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

TOPIC = "arn:aws:sns:eu-west-1:123456789012:inbound-mail"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, headers and body; one post for all recipients.

    ``secret``: a private key in PEM, which signs for ``TOPIC``; or a shared secret, which goes into the URL.
    """
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    digest = hashlib.sha256(mail + stamp.encode()).hexdigest()
    event = {
        "notificationType": "Received",
        "mail": {"timestamp": stamp, "source": "sender@example.com", "messageId": digest[:40]},
        "receipt": {
            "timestamp": stamp,
            "recipients": recipients,
            "spamVerdict": {"status": "PASS"},
            "virusVerdict": {"status": "PASS"},
            "action": {"type": "SNS", "topicArn": TOPIC, "encoding": "BASE64"},
        },
        "content": base64.b64encode(mail).decode(),
    }
    message: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": digest[:36],
        "TopicArn": TOPIC,
        "Subject": "Amazon SES Email Receipt Notification",
        "Message": json.dumps(event),
        "Timestamp": stamp,
    }
    signs = secret.startswith("-----BEGIN")
    body = json.dumps(signed(message, secret) if signs else message).encode()
    headers = [
        ("Content-Type", "text/plain; charset=UTF-8"),
        ("x-amz-sns-message-type", "Notification"),
        ("x-amz-sns-topic-arn", TOPIC),
    ]
    return "/inbound/ses" if signs else f"/inbound/ses?token={quote(secret, safe='')}", headers, body


def signed(message: dict[str, Any], private_key: str, *, version: str = "2") -> dict[str, Any]:
    """The message with SNS's signature; all its members are strings, and all are signed."""
    key = load_pem_private_key(private_key.encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("the key must be an RSA private key (PEM)")  # noqa: TRY004  # what it is, not its class
    text = "".join(f"{name}\n{message[name]}\n" for name in sorted(message)).encode()
    signature = key.sign(text, PKCS1v15(), SHA256() if version == "2" else SHA1())  # noqa: S303
    proof = {"SignatureVersion": version, "Signature": base64.b64encode(signature).decode()}
    return {**message, **proof, "SigningCertURL": CERTIFICATE_URL, "UnsubscribeURL": "https://example.com/"}
