"""Posts a mail as Postal would: raw, as JSON, signed with the installation's key or with the secret in the URL."""

from __future__ import annotations

import base64
import json
import zlib
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, headers and body; Postal posts once for each recipient: this is the post for the first.

    ``secret``: a private key in PEM, which signs; or a shared secret, which goes as Basic password.
    """
    event = {
        "id": zlib.crc32(mail + recipients[0].encode() + now.isoformat().encode()),
        "rcpt_to": recipients[0],
        "mail_from": "sender@example.com",
        "message": base64.encodebytes(mail).decode(),
        "base64": True,
        "size": len(mail),
    }
    body = json.dumps(event).encode()
    headers = [("Content-Type", "application/json"), *proof(secret, body)]
    return "/inbound/postal", headers, body


def proof(secret: str, body: bytes) -> list[tuple[str, str]]:
    """The headers that prove the body."""
    if not secret.startswith("-----BEGIN"):
        return [("Authorization", "Basic " + base64.b64encode(f"postal:{secret}".encode()).decode())]
    key = load_pem_private_key(secret.encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("the key must be an RSA private key (PEM)")  # noqa: TRY004  # what it is, not its class
    old, new = (key.sign(body, PKCS1v15(), algorithm) for algorithm in (SHA1(), SHA256()))  # noqa: S303
    return [
        ("X-Postal-Signature", base64.b64encode(old).decode()),
        ("X-Postal-Signature-256", base64.b64encode(new).decode()),
        ("X-Postal-Signature-KID", "test"),
    ]
