"""A mail as Mailsac's webhook posts it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from relay.builders import Built


def build(mail: bytes, recipients: Sequence[str], secret: str, now: datetime) -> Built:
    """The post for the first recipient: Mailsac makes one for each. Parsed members are left out, ``raw`` has all."""
    inbox = recipients[0]
    event: dict[str, object] = {
        "_id": hashlib.sha256(mail + inbox.encode() + now.isoformat().encode()).hexdigest()[:24],
        "inbox": inbox,
        "originalInbox": inbox,
        "received": now.isoformat(),
        "via": "mx.mailsac.test",
        "rtls": True,
    }
    try:
        event["raw"] = mail.decode()
    except UnicodeDecodeError:
        event |= {"raw": mail.decode("latin-1"), "rawEncoding": "latin1"}
    target = f"/inbound/mailsac?token={quote(secret, safe='')}"
    return Built(target, [("content-type", "application/json")], json.dumps(event).encode())
