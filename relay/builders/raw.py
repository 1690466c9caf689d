"""A mail as a script posts it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from relay.builders import Built


def build(mail: bytes, recipients: Sequence[str], secret: str, now: datetime) -> Built:
    """One post for all recipients; without any the mail must name one. Sent at another time it is meant anew."""
    named = b"\0".join([mail, *(recipient.encode("utf-8", "replace") for recipient in recipients)])
    webhook_id = hashlib.sha256(named + now.isoformat().encode()).hexdigest()[:32]
    headers = [
        ("content-type", "message/rfc822"),
        ("authorization", f"Bearer {secret}"),
        ("webhook-id", f"msg_{webhook_id}"),
        *(("x-envelope-to", recipient) for recipient in recipients),
    ]
    return Built("/inbound/raw", headers, mail)
