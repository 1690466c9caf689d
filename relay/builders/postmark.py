"""Posts a mail as Postmark would, with "include raw email content" switched on."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime
from email import message_from_bytes, policy
from email.utils import getaddresses
from typing import Any


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, headers and body. Postmark posts once for each recipient: this is the post for the first.

    The mail goes as text: what is not UTF-8 in it is replaced, as Postmark does.
    """
    message = message_from_bytes(mail, policy=policy.compat32)
    event: dict[str, Any] = {
        "FromFull": (_full(str(message.get("From", ""))) or [{"Email": "", "Name": "", "MailboxHash": ""}])[0],
        "ToFull": _full(str(message.get("To", ""))),
        "CcFull": _full(str(message.get("Cc", ""))),
        "BccFull": [],
        "OriginalRecipient": recipients[0],
        "Subject": str(message.get("Subject", "")),
        "MessageID": hashlib.sha256(mail + recipients[0].encode() + now.isoformat().encode()).hexdigest()[:36],
        "MessageStream": "inbound",
        "Date": now.strftime("%a, %d %b %Y %H:%M:%S %z"),
        "RawEmail": mail.decode("utf-8", "replace"),
        "Headers": [{"Name": name, "Value": str(value)} for name, value in message.items()],
        "Attachments": [],
    }
    password = base64.b64encode(f"postmark:{secret}".encode()).decode()
    headers = [("Authorization", f"Basic {password}"), ("Content-Type", "application/json; charset=utf-8")]
    return "/inbound/postmark", headers, json.dumps(event).encode()


def _full(value: str) -> list[dict[str, str]]:
    return [
        {"Email": address, "Name": name, "MailboxHash": ""} for name, address in getaddresses([value]) if address
    ]
