"""A mail as SendGrid's Inbound Parse posts it, with "POST the raw, full MIME message"."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, headers and body of one post.

    ``secret``: the shared one, sent as ``?token=``; or a private key of P-256 (PKCS #8 in base64, which begins with
    ``MIG``), as SendGrid holds for a security policy: the post is then signed with it; or an access token (a JSON Web
    Token, ``eyJ``) of the OAuth server of such a policy.
    """
    boundary = "xYzZY" + hashlib.sha256(mail).hexdigest()[:24]  # so that no mail holds it
    fields = [
        ("to", ", ".join(recipients).encode()),
        ("from", b""),
        ("subject", b""),
        ("envelope", json.dumps({"to": recipients, "from": ""}).encode()),
        ("charsets", b'{"to":"UTF-8","from":"UTF-8","subject":"UTF-8"}'),
        ("sender_ip", b"192.0.2.7"),
        ("email", mail),
    ]
    parts = [_part(boundary, name, value) for name, value in fields]
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    headers = [("content-type", f"multipart/form-data; boundary={boundary}"), ("user-agent", "Sendlib/1.0")]
    if secret.startswith("MIG"):
        return "/inbound/sendgrid", headers + _signature(secret, str(int(now.timestamp())), body), body
    if secret.startswith("eyJ"):
        return "/inbound/sendgrid", [*headers, ("authorization", f"Bearer {secret}")], body
    return f"/inbound/sendgrid?token={secret}", headers, body


def _part(boundary: str, name: str, value: bytes) -> bytes:
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"


def _signature(private_key: str, timestamp: str, body: bytes) -> list[tuple[str, str]]:
    key = load_der_private_key(base64.b64decode(private_key), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the private key is not one of P-256")
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    return [
        ("x-twilio-email-event-webhook-signature", base64.b64encode(signature).decode()),
        ("x-twilio-email-event-webhook-timestamp", timestamp),
    ]
