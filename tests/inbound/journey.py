"""The mail that builders of tests post, and what a provider gets of it."""

from __future__ import annotations

import email
import email.policy
from datetime import datetime
from urllib.parse import urlsplit

from starlette.datastructures import QueryParams

from relay.builders import Built
from relay.inbound.webhook.provider import Post, PostHeaders

MAIL = (
    "Received: from mx.sender.test (mx.sender.test [192.0.2.7]) by mx.example.com with ESMTPS; Sat, 21 Nov 2026\r\n"
    "From: =?utf-8?q?J=C3=B6rg?= <joerg@sender.test>\r\nTo: user1@mailsac.com\r\nSubject: Hello\r\n"
    "Message-ID: <1@sender.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"
    "--c\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHällo, world.\r\n"
    "--c\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hällo</p><img src='cid:logo'>\r\n--c--\r\n"
    "--b\r\nContent-Type: image/png\r\nContent-Disposition: inline; filename=logo.png\r\nContent-ID: <logo>\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n"
    '--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename="a.csv"\r\n\r\na,b\r\n--b--\r\n'
).encode()


def as_post(built: Built, received: datetime) -> Post:
    """The request of a builder as the door hands it to the provider."""
    target, headers, body = built
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Post(PostHeaders(raw), QueryParams(urlsplit(target).query), body, received)


def filenames(raw: bytes) -> list[str | None]:
    """As another reader of MIME sees them: of each leaf that is neither the text nor the HTML."""
    leaves = [
        part
        for part in email.message_from_bytes(raw, policy=email.policy.default).walk()
        if not part.is_multipart()
    ]
    return [part.get_filename() for part in leaves if part.get_content_maintype() != "text" or part.get_filename()]
