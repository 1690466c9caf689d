"""A second opinion on a mail: what Python's email package makes of it, in the shape of Parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from inspect import signature

# Python 3.13, and older ones with the mend of CVE-2023-27043 (Debian 12's 3.11.2), read no mailbox at all out of a
# field that has a domain literal or a semicolon, unless told not to be strict. So is asked what all others answer.
_LENIENT: dict[str, bool] = {"strict": False} if "strict" in signature(getaddresses).parameters else {}


@dataclass(frozen=True, slots=True)
class Opinion:
    subject: str
    sender: tuple[tuple[str, str], ...]  # (name, address)
    to: tuple[tuple[str, str], ...]
    cc: tuple[tuple[str, str], ...]
    bcc: tuple[tuple[str, str], ...]
    text: str
    html: str
    attachments: tuple[str, ...]


def opinion(raw: bytes) -> Opinion:
    """Structure and bytes by compat32, which is total; subject and names by ``email.header``."""
    mail = message_from_bytes(raw, policy=policy.compat32)
    bodies: dict[str, str] = {"text/plain": "", "text/html": ""}
    attachments: list[str] = []
    for leaf in _leaves(mail):
        kind = leaf.get_content_type()
        content = _content(leaf)
        if kind in bodies and leaf.get_content_disposition() != "attachment" and not leaf.get_filename():
            bodies[kind] += _text(content, leaf)
        else:
            attachments.append(hashlib.md5(content, usedforsecurity=False).hexdigest())
    return Opinion(
        subject=_decoded(str(mail["subject"] or "")),
        sender=_addresses(mail, "from"),
        to=_addresses(mail, "to"),
        cc=_addresses(mail, "cc"),
        bcc=_addresses(mail, "bcc"),
        text=bodies["text/plain"],
        html=bodies["text/html"],
        attachments=tuple(attachments),
    )


def _leaves(mail: Message) -> Iterator[Message]:
    if mail.get_content_type() == "message/rfc822" or not mail.is_multipart():
        yield mail
        return
    for part in mail.get_payload():
        assert isinstance(part, Message)
        yield from _leaves(part)


def _content(leaf: Message) -> bytes:
    if leaf.is_multipart():  # message/*: the package parses what is inside and cannot give back its bytes
        return b"".join(part.as_bytes() for part in leaf.get_payload() if isinstance(part, Message))
    content = leaf.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def _text(content: bytes, leaf: Message) -> str:
    try:
        text = content.decode(str(leaf.get_content_charset("us-ascii")), "replace")
    except (LookupError, UnicodeError):
        text = "?"
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError):
        return "?"


def _addresses(mail: Message, name: str) -> tuple[tuple[str, str], ...]:
    fields = [str(value) for value in mail.get_all(name, [])]
    return tuple((_decoded(display), address) for display, address in getaddresses(fields, **_LENIENT) if address)
