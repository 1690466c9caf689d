"""The mails and messages of the bench: made here, the same on every machine, each with its own number.

No two are equal: a service that recognises a mail it has had already must not get its work for nothing.
"""

from __future__ import annotations

import base64
import random
import re
from dataclasses import dataclass

from bench.wire import mark

_WORDS = re.findall(
    r"\w+",
    "account amount answer balance before below between branch button change choose client code confirm copy "
    "customer date delivery details discount email enter every first follow format hello help hours invoice item "
    "letter limit link login market message minute month never notice number offer open order other password "
    "payment people please price product question receipt regards reply request reset return review second "
    "service session settings shipping sign sincerely store street support team thank time today token total "
    "track update verify visit welcome within without world would year your",
)
_PLACEHOLDER = mark(0)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail with a place for its number."""

    template: bytes

    def numbered(self, number: int) -> bytes:
        """The mail with this number: in its Subject, Message-ID and boundaries, as a real one's would differ."""
        return self.template.replace(_PLACEHOLDER.encode(), mark(number).encode())

    def __len__(self) -> int:
        return len(self.template)


def text(size_bytes: int, seed: int = 0) -> str:
    """English-like lines of that many bytes at least; deflate makes about a third of it, as of a real mail's."""
    dice = random.Random(seed)
    lines: list[str] = []
    size = 0
    while size < size_bytes:
        line = " ".join(dice.choice(_WORDS) for _ in range(11)) + f" {dice.randrange(10**6)}."
        lines.append(line)
        size += len(line) + 2
    return "\r\n".join(lines)


def plain_mail(padding_bytes: int) -> Mail:
    """The smallest mail that fills a frame: its body is no text, so that the frame has it once."""
    lines = [f"Subject: {_PLACEHOLDER}", "Content-Type: application/octet-stream", "", "x" * padding_bytes]
    return Mail("\r\n".join(lines).encode())


def text_mail(size_bytes: int) -> Mail:
    """One text part, ordinary headers."""
    head = _headers('text/plain; charset="utf-8"')
    return Mail(f"{head}\r\n\r\n{text(max(0, size_bytes - len(head)))}\r\n".encode())


def multipart_mail(size_bytes: int, *, attachment_bytes: int = 0) -> Mail:
    """Text and HTML alternatives of about ``size_bytes`` together, and perhaps an attachment in base64."""
    outer = f"b1-{_PLACEHOLDER}"
    inner = f"b2-{_PLACEHOLDER}"
    head = _headers(f'multipart/mixed; boundary="{outer}"')
    left = max(200, size_bytes - len(head) - 500)
    bodies = _part(inner, "text/plain", text(left // 3)) + _part(inner, "text/html", _html(left - left // 3))
    parts = [
        f"{head}\r\n\r\n--{outer}",
        f'Content-Type: multipart/alternative; boundary="{inner}"\r\n\r\n{bodies}--{inner}--',
        *([f"--{outer}", _attachment(attachment_bytes)] if attachment_bytes else []),
        f"--{outer}--\r\n",
    ]
    return Mail("\r\n".join(parts).encode())


def frame(size_bytes: int, number: int) -> bytes:
    """A message JSON of exactly that size, for those who are not relay."""
    head = b'{"_id":"%b","raw":"' % mark(number).encode()
    return head + b"x" * (size_bytes - len(head) - 2) + b'"}'


def _headers(content_type: str) -> str:
    return "\r\n".join(
        [
            "Return-Path: <bounce@sender.test>",
            "Received: from mail.sender.test (mail.sender.test [192.0.2.10]) by mx.mail.test with ESMTPS",
            "        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);",
            "        Thu, 20 Nov 2025 12:00:00 +0000",
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=sender.test; s=s1; t=1763640000;",
            "        h=from:to:subject:date:message-id:mime-version:content-type;",
            "        bh=" + "Q" * 43 + "=; b=" + "Z" * 340,
            "From: Shop of Ann <ann@sender.test>",
            "To: Reader <reader@mail.test>",
            f"Subject: {_PLACEHOLDER} your order has been sent",
            "Date: Thu, 20 Nov 2025 12:00:00 +0000",
            f"Message-ID: <{_PLACEHOLDER}@sender.test>",
            "MIME-Version: 1.0",
            f"Content-Type: {content_type}",
        ]
    )


def _part(boundary: str, content_type: str, content: str) -> str:
    head = f'--{boundary}\r\nContent-Type: {content_type}; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit'
    return f"{head}\r\n\r\n{content}\r\n"


def _html(size_bytes: int) -> str:
    lines = [f'<p style="margin:0">{line}</p>' for line in text(size_bytes * 3 // 4, seed=1).split("\r\n")]
    link = '<a href="https://shop.sender.test/orders/1?utm_source=mail">Your order</a>'
    return "\r\n".join(["<html><body>", link, *lines, "</body></html>"])


def _attachment(size_bytes: int) -> str:
    content = base64.encodebytes(random.Random(2).randbytes(size_bytes * 3 // 4)).decode().replace("\n", "\r\n")
    return (
        'Content-Type: application/pdf; name="invoice.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="invoice.pdf"\r\n\r\n{content}'
    )


# What `--mail` of a sender process may name; sizes are of the mail itself.
MAILS = {
    "3 KB": lambda: multipart_mail(3_000),
    "14 KB": lambda: multipart_mail(14_000),
    "700 KB": lambda: multipart_mail(14_000, attachment_bytes=670_000),
}
