"""Posts a mail as CloudMailin would in its raw format."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime


def build(
    mail: bytes, recipients: list[str], secret: str, now: datetime
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Target, headers and body; one post for all recipients. The format carries no time: ``now`` is not used."""
    boundary = b"----cloudmailin" + hashlib.sha256(mail).hexdigest()[:24].encode()
    fields = [
        ("message", mail),
        ("envelope[to]", recipients[0].encode()),
        *((f"envelope[recipients][{place}]", one.encode()) for place, one in enumerate(recipients)),
        ("envelope[from]", b"sender@example.com"),
        ("envelope[helo_domain]", b"mail.example.com"),
        ("envelope[remote_ip]", b"192.0.2.1"),
        ("envelope[tls]", b"true"),
    ]
    body = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name.encode(), value)
        for name, value in fields
    )
    password = base64.b64encode(f"cloudmailin:{secret}".encode()).decode()
    headers = [
        ("Authorization", f"Basic {password}"),
        ("Content-Type", f"multipart/form-data; boundary={boundary.decode()}"),
    ]
    return "/inbound/cloudmailin", headers, body + b"--%b--\r\n" % boundary
