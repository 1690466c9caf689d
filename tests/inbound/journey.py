"""A post as a builder makes it, through the real door, to a real WebSocket."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2
from starlette.datastructures import QueryParams

from relay.inbound.webhook.provider import Post, PostHeaders
from tests.harness import ADDRESS, Relay
from tests.inbound.posts import NOW

Build = Callable[[bytes, list[str], str, datetime], tuple[str, list[tuple[str, str]], bytes]]

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


async def send(
    relay: Relay,
    build: Build,
    secret: str,
    *,
    recipients: tuple[str, ...] = (ADDRESS,),
    now: datetime | None = None,
) -> httpx2.Response:
    """Posts the mail as the provider would; ``now``: the same again is the provider's retry. None is this moment."""
    target, headers, body = build(MAIL, list(recipients), secret, now or datetime.now(UTC))
    return await relay.http.post(target, content=body, headers=headers)


def built(build: Build, secret: str, mail: bytes = MAIL, now: datetime = NOW) -> Post:
    """The same as the door hands it to the provider."""
    target, headers, body = build(mail, [ADDRESS], secret, now)
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Post(PostHeaders(raw), QueryParams(urlsplit(target).query), body, now)


def filenames(raw: bytes) -> list[str | None]:
    """As another reader of MIME sees them: of each leaf that is neither the text nor the HTML."""
    leaves = [
        part
        for part in email.message_from_bytes(raw, policy=email.policy.default).walk()
        if not part.is_multipart()
    ]
    return [part.get_filename() for part in leaves if part.get_content_maintype() != "text" or part.get_filename()]
