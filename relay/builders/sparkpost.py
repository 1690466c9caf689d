"""Mails as SparkPost's relay webhook posts them: one event for each recipient, in one batch."""

from __future__ import annotations

import base64
import json
from datetime import datetime


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, headers and body of one post. ``secret``: the webhook's auth_token. SparkPost tells no time."""
    del now
    try:
        content = {"email_rfc822": mail.decode("utf-8"), "email_rfc822_is_base64": False}
    except UnicodeDecodeError:
        content = {"email_rfc822": base64.b64encode(mail).decode(), "email_rfc822_is_base64": True}
    events = [
        {"msys": {"relay_message": {"content": content, "msg_from": "", "rcpt_to": recipient, "protocol": "smtp"}}}
        for recipient in recipients
    ]
    headers = [("content-type", "application/json"), ("x-messagesystems-webhook-token", secret)]
    return "/inbound/sparkpost", headers, json.dumps(events).encode()
