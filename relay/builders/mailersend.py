"""A mail as an inbound route of MailerSend posts it."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, headers and body of the post, signed with the secret of the route."""
    event = {
        "type": "inbound.message",
        "inbound_id": "z3m5jgr8yvo4dpyo",
        "created_at": now.isoformat(),
        "data": {
            "object": "message",
            "id": hashlib.sha256(mail + "\n".join([now.isoformat(), *recipients]).encode()).hexdigest()[:24],
            "recipients": {"rcptTo": [{"email": recipient} for recipient in recipients]},
            "raw": mail.decode("utf-8", "replace"),
            "created_at": now.isoformat(),
        },
    }
    body = json.dumps(event).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return "/inbound/mailersend", [("Content-Type", "application/json"), ("Signature", signature)], body
