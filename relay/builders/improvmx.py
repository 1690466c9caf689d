"""A mail as a webhook of ImprovMX posts it."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from urllib.parse import urlencode

from relay.builders.mail_parts import File, take_apart

_OWN_MEMBERS = {"from", "to", "subject", "date", "message-id"}


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target with the secret, headers and body of the post for the first recipient: each alias has its own."""
    pieces = take_apart(mail)
    spf = "pass (improvmx.com: permitted sender) receiver=mx1.improvmx.com; client-ip=192.0.2.7; helo=mx.sender.test;"
    others = {name: values for name, values in pieces.headers.items() if name.lower() not in _OWN_MEMBERS}
    event = {
        "headers": {"Received-SPF": [spf], "Delivered-To": recipients[0], **others},
        "to": [pieces.mailbox("To")],
        "from": pieces.mailbox("From"),
        "subject": pieces.header("Subject"),
        "message-id": pieces.header("Message-ID").strip("<>"),
        "date": pieces.header("Date"),
        "return-path": {"name": None, "email": pieces.mailbox("From")["email"]},
        "timestamp": int(now.timestamp()),
        "text": pieces.text,
        "html": pieces.html,
        "inlines": [_file(one) for one in pieces.files if one.inline],
        "attachments": [_file(one) for one in pieces.files if not one.inline],
    }
    target = f"/inbound/improvmx?{urlencode({'token': secret})}"
    return target, [("Content-Type", "application/json")], json.dumps(event).encode()


def _file(one: File) -> dict[str, str]:
    content = base64.b64encode(one.content).decode()
    found = {"type": one.content_type, "name": one.filename, "content": content, "encoding": "base64"}
    return found | ({"cid": one.content_id} if one.content_id else {})
