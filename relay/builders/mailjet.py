"""A mail as Mailjet's Parse API posts it."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from relay.builders.mail_parts import File, take_apart

# Of these Mailjet gives one text; of the others a list.
_SINGLE = {
    "date",
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "message-id",
    "in-reply-to",
    "references",
    "subject",
}


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target with the secret, headers and body of the post to the first recipient: Mailjet posts one for each."""
    pieces = take_apart(mail)
    event: dict[str, Any] = {
        "Sender": pieces.mailbox("From")["email"],
        "Recipient": recipients[0],
        "Date": now.strftime("%Y%m%dT%H%M%S"),
        "From": pieces.header("From"),
        "Subject": pieces.header("Subject"),
        "Headers": {
            name: values[0] if name.lower() in _SINGLE else values for name, values in pieces.headers.items()
        },
        "Parts": [],
        "Text-part": pieces.text,
        "Html-part": pieces.html,
        "SpamAssassinScore": "0.5",
    }
    for number, file in enumerate(pieces.files, 1):
        name = f"{'InlineAttachment' if file.inline else 'Attachment'}{number}"
        event["Parts"].append({"Headers": _headers(file), "ContentRef": name})
        event[name] = base64.b64encode(file.content).decode()
    target = f"/inbound/mailjet?{urlencode({'token': secret})}"
    return target, [("Content-Type", "application/json")], json.dumps(event).encode()


def _headers(file: File) -> dict[str, list[str]]:
    disposition = "inline" if file.inline else "attachment"
    fields = {
        "Content-Type": [file.content_type],
        "Content-Disposition": [f'{disposition}; filename="{file.filename}"'],
    }
    return fields | ({"Content-ID": [f"<{file.content_id}>"]} if file.content_id else {})
