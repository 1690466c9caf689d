"""The mails and messages of the bench: made here, the same on every machine, each with its own number.

No two are equal: a service that recognises a mail it has had already must not get its work for nothing. And they are
as hard to compress as real ones (tests/bench/test_mail.py): words as frequent as in a language and none of them in
the order of another line, an HTML part that says what the text says in markup, links with a token each, a signature.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.wire import mark

_WORDS = (Path(__file__).parent / "words.txt").read_text().split()  # the most frequent first
_WEIGHTS = [1 / (rank + 3) for rank in range(len(_WORDS))]  # nearly Zipf's law, as in any language
_LINE_WORDS = 11
_BLOCK_BYTES = 256 * 1024  # a longer text is this one again: deflate looks back 32 KB and does not see it
_LINES_TO_A_LINK = 4
_PLAIN_SHARE = 0.165  # of an alternative's two parts
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


def text(size_bytes: int) -> str:
    """English-like lines of about that many bytes; deflate makes 45 % of 10 KB of it, as of prose."""
    block = _block()
    whole, rest = divmod(size_bytes, len(block))
    end = block.find("\r\n", rest)
    return block * whole + (block[:end] if rest else "")


@cache
def _block() -> str:
    dice = random.Random(0)
    lines: list[str] = []
    size = 0
    while size < _BLOCK_BYTES:
        words = dice.choices(_WORDS, _WEIGHTS, k=_LINE_WORDS)
        lines.append(f"{' '.join(words).capitalize()} {dice.randrange(10**6)}.")
        size += len(lines[-1]) + 2
    return "\r\n".join([*lines, ""])


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
    plain = text(round(left * _PLAIN_SHARE))
    bodies = _part(inner, "text/plain", plain) + _part(inner, "text/html", _html(plain))
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
            f"        bh={_base64(32, 3)}; b={_base64(256, 4)}",
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


def _html(plain: str) -> str:
    """Markup as newsletters have it: two lines in three are not in the text part, and links know who clicks."""
    dice = random.Random(1)
    lines = plain.split("\r\n")
    own = iter(text(3 * len(plain) + 500)[len(plain) :].split("\r\n")[1:])
    parts = ["<html><body><table>"]
    for place, line in enumerate(lines):
        parts += [_ROW.format(line=each) for each in (line, next(own), next(own))]
        if place % _LINES_TO_A_LINK == 0:
            parts.append(_LINK.format(token=f"{dice.getrandbits(160):040x}"))
    return "\r\n".join([*parts, "</table></body></html>"])


_ROW = '<tr><td style="margin:0">{line}</td></tr>'
_LINK = '<a href="https://click.shop.sender.test/c/{token}?utm_source=mail" style="color:#0b6e4f">Your order</a>'


def _attachment(size_bytes: int) -> str:
    content = base64.encodebytes(random.Random(2).randbytes(size_bytes * 3 // 4)).decode().replace("\n", "\r\n")
    return (
        'Content-Type: application/pdf; name="invoice.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="invoice.pdf"\r\n\r\n{content}'
    )


def _base64(size_bytes: int, seed: int) -> str:
    return base64.b64encode(random.Random(seed).randbytes(size_bytes)).decode()


def _with_attachment(size_bytes: int) -> Callable[[], Mail]:
    """A mail that is nearly all attachment; base64 has line ends, so the content is a little less."""
    return lambda: multipart_mail(14_000, attachment_bytes=(size_bytes - 14_500) * 76 // 78)


# What a sender process may be told to post; sizes are of the mail itself.
MAILS: dict[str, Callable[[], Mail]] = {
    "3 KB": lambda: multipart_mail(3_000),
    "14 KB": lambda: multipart_mail(14_000),
    "30 KB": lambda: multipart_mail(30_000),
    "100 KB": lambda: multipart_mail(100_000),
    "700 KB": _with_attachment(700_000),
    "1 MB": _with_attachment(1_000_000),
    "5 MB": _with_attachment(5_000_000),
    "20 MB": _with_attachment(20_000_000),
    "25 MiB": _with_attachment((25 << 20) - 10_000),
    "25 MiB of text": lambda: text_mail((25 << 20) - 10_000),
}
