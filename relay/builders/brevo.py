"""A mail as Brevo's inbound parsing posts it: its texts. Files would have to lie at Brevo to be fetched from there."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime

from relay.builders import CannotBuild
from relay.builders.mail_parts import take_apart


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, headers with the secret, and body of the post for the first recipient. Raises CannotBuild."""
    pieces = take_apart(mail)
    if pieces.files:
        raise CannotBuild("brevo posts the names of files only, and relay fetches them from Brevo: take them out")
    sender = pieces.mailbox("From")
    item = {
        "Uuid": [hashlib.sha256(mail + f"{now.isoformat()} {recipients[0]}".encode()).hexdigest()[:32]],
        "MessageId": pieces.header("Message-ID"),
        "From": {"Name": sender["name"], "Address": sender["email"]},
        "To": [{"Name": None, "Address": recipients[0]}],
        "Recipients": [recipients[0]],
        "SentAtDate": pieces.header("Date"),
        "Subject": pieces.header("Subject"),
        "Headers": {name: values[0] if len(values) == 1 else values for name, values in pieces.headers.items()},
        "SpamScore": 0.5,
        "RawHtmlBody": pieces.html,
        "RawTextBody": pieces.text,
        "Attachments": [],
    }
    basic = base64.b64encode(f"relay:{secret}".encode()).decode()
    headers = [("Content-Type", "application/json"), ("Authorization", f"Basic {basic}")]
    return "/inbound/brevo", headers, json.dumps({"items": [item]}).encode()
