"""A mail as a Mailgun route posts it: ``forward("https://<host>/inbound/mailgun?mime")``."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from urllib.parse import urlencode


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, headers and body of one post. Mailgun makes one for each recipient: this is that of the first.

    ``secret``: the HTTP webhook signing key. The same mail at the same time has the same token, as a retry has.
    """
    timestamp = str(int(now.timestamp()))
    token = hashlib.sha256(
        b"\0".join([mail, *(one.encode() for one in recipients), timestamp.encode()])
    ).hexdigest()[:50]
    signature = hmac.new(secret.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    fields: list[tuple[str, str | bytes]] = [
        ("recipient", recipients[0]),
        ("sender", ""),
        ("body-mime", mail),
        ("timestamp", timestamp),
        ("token", token),
        ("signature", signature),
    ]
    headers = [("content-type", "application/x-www-form-urlencoded"), ("user-agent", "mailgun/treq-22.10.0")]
    return "/inbound/mailgun?mime", headers, urlencode(fields).encode()
