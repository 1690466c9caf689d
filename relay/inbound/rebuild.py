"""A mail rebuilt from parsed fields, for senders (or modes of one) that do not give the original.

The result reads like the original, but is not it: DKIM will not verify. Its message says ``rawSynthesized``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.charset import QP, Charset
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from typing import Any

_BAD_IN_NAME = re.compile(r"[^\x21-\x39\x3b-\x7e]")  # RFC 5322 ftext is what may stand in a field name
_LINE_ENDS = re.compile(r"[\r\n\x00]+[ \t]*")
# What describes the original's body would misdescribe the rebuilt one (an attachment, RFC 2183, has no text).
_OF_THE_BODY = ("content-", "mime-version")
_MAILBOX_FIELDS = ("from", "to", "cc", "bcc")


def rebuild(event: Mapping[str, Any]) -> bytes:
    """A mail from an event of the message shape: ``headers``, mailbox lists, ``subject``, ``text``, ``html``.

    Total: whatever has not the expected type is left out.
    """
    headers = list(_headers(event))
    lines = [f"{name}: {value}" for name, value in headers] or ["Subject: "]
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n" + _body(event)


def _headers(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    given = event.get("headers")
    names = set()
    for name, values in given.items() if isinstance(given, dict) else ():
        if _BAD_IN_NAME.search(name) or not name or name.lower().startswith(_OF_THE_BODY):
            continue
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str):
                names.add(name.lower())
                yield name, _one_line(value)
    for name in _MAILBOX_FIELDS:
        if name not in names and (mailboxes := _mailboxes(event.get(name))):
            yield name, mailboxes
    subject = event.get("subject")
    if "subject" not in names and isinstance(subject, str):
        yield "subject", _one_line(subject)


def _mailboxes(value: object) -> str:
    entries = [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
    pairs = ((_text(entry.get("name")), _text(entry.get("address"))) for entry in entries)
    return ", ".join(
        f'"{name.translate(_QUOTED)}" <{address}>' if name else address for name, address in pairs if address
    )


def _text(value: object) -> str:
    return _one_line(value) if isinstance(value, str) else ""


_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"'})


def _one_line(value: str) -> str:
    return _LINE_ENDS.sub(" ", value).strip()


def _body(event: Mapping[str, Any]) -> bytes:
    """The MIME headers of the body, an empty line, and the body."""
    text, html = (value if isinstance(value, str) else "" for value in (event.get("text"), _html(event)))
    if text and html:
        both = MIMEMultipart("alternative")
        both.attach(_part(text, "plain"))
        both.attach(_part(html, "html"))
        return both.as_bytes()
    return (_part(html, "html") if html else _part(text, "plain")).as_bytes()


def _html(event: Mapping[str, Any]) -> object:
    return event.get("html") or event.get("body")  # Mailsac's newer and older name


def _part(content: str, subtype: str) -> MIMENonMultipart:
    charset = Charset("utf-8")
    charset.body_encoding = QP
    part = MIMENonMultipart("text", subtype, charset="utf-8")
    part.set_payload(content.encode("utf-8", "replace").decode("utf-8"), charset)
    return part
