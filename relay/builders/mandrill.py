"""Mails as Mandrill's inbound webhook posts them: one event for each recipient, in one batch."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime
from urllib.parse import urlencode, urlsplit


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime, *, url: str = "https://relay.example.com"
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, headers and body of one post. ``secret``: the webhook's key; ``url``: how the URL typed in at Mandrill
    begins, which is signed. Bytes that are no UTF-8 are lost, as at Mandrill."""
    target = "/inbound/mandrill"
    events = json.dumps([_event(mail.decode("utf-8", "replace"), recipient, now) for recipient in recipients])
    signed = f"{url}{target}mandrill_events{events}".encode()
    signature = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha1).digest()).decode()
    headers = [
        ("host", urlsplit(url).netloc),
        ("content-type", "application/x-www-form-urlencoded"),
        ("user-agent", "Mandrill-Webhook/1.0"),
        ("x-mandrill-signature", signature),
    ]
    return target, headers, urlencode({"mandrill_events": events}).encode()


def _event(mail: str, recipient: str, now: datetime) -> dict[str, object]:
    msg: dict[str, object] = {
        "raw_msg": mail,
        "email": recipient,
        "sender": None,
        "headers": [],
        "spam_report": {"score": 0.1},
    }
    return {"event": "inbound", "ts": int(now.timestamp()), "msg": msg}
