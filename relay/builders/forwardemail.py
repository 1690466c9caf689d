"""Posts a mail as Forward Email would, for a domain with a webhook key."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, headers and body; one post for all recipients. What is not UTF-8 in the mail is replaced, as there."""
    event = {
        "headerLines": [],
        "raw": mail.decode("utf-8", "replace"),
        "recipients": recipients,
        "session": {
            "recipient": recipients[0],
            "remoteAddress": "192.0.2.1",
            "remotePort": 25252,
            "clientHostname": "mail.example.com",
            "hostNameAppearsAs": "mail.example.com",
            "sender": "sender@example.com",
            "mta": "mx1.forwardemail.net",
            "arrivalDate": now.isoformat(),
            "arrivalTime": int(now.timestamp() * 1000),
        },
    }
    body = json.dumps(event, separators=(",", ":")).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = [("Content-Type", "application/json"), ("X-Webhook-Signature", signature)]
    return "/inbound/forwardemail", headers, body
