"""A mail as an inbound route of AhaSend posts it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime

from relay.builders.mail_parts import File, take_apart


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, signed headers and body of the post to the first recipient: AhaSend posts one for each."""
    pieces = take_apart(mail)
    event = {
        "type": "message.routing",
        "route_id": "11111111-1111-4111-8111-111111111111",
        "timestamp": now.isoformat(),
        "data": {
            "id": hashlib.sha256(mail).hexdigest()[:32],
            "from": pieces.header("From"),
            "to": recipients[0],
            "subject": pieces.header("Subject"),
            "message_id": pieces.header("Message-ID"),
            "size": len(mail),
            "spam_score": 0.5,
            "bounce": False,
            "plain_body": pieces.text,
            "html_body": pieces.html,
            "headers": {name: values[0] for name, values in pieces.headers.items()},
            "attachments": [_file(one) for one in pieces.files],
        },
    }
    body = json.dumps(event).encode()
    webhook_id = hashlib.sha256(mail + f"{now.isoformat()} {recipients[0]}".encode()).hexdigest()[:32]
    timestamp = str(int(now.timestamp()))
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    headers = [
        ("Content-Type", "application/json"),
        ("Webhook-Id", webhook_id),
        ("Webhook-Timestamp", timestamp),
        ("Webhook-Signature", f"v1,{signature}"),
    ]
    return "/inbound/ahasend", headers, body


def _file(one: File) -> dict[str, str]:
    return {
        "filename": one.filename,
        "content_type": one.content_type,
        "content_id": one.content_id,
        "disposition": "inline" if one.inline else "attachment",
        "data": base64.b64encode(one.content).decode(),
    }
