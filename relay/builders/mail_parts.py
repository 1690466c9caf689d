"""A mail in the pieces that JSON webhooks post instead of it."""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import parseaddr


@dataclass(frozen=True, slots=True)
class File:
    """A part that is neither the text nor the HTML."""

    content: bytes
    filename: str
    content_type: str
    content_id: str  # without angle brackets
    inline: bool


@dataclass(slots=True)
class ChunkedResponse:
    """Header fields of one name are in one list, top-most first."""

    headers: dict[str, list[str]] = field(default_factory=dict)
    text: str = ""
    html: str = ""
    files: list[File] = field(default_factory=list)

    def header(self, name: str) -> str:
        """The top-most of a name; "" when there is none."""
        return self.headers.get(name, [""])[0]

    def mailbox(self, name: str) -> dict[str, str]:
        """The first mailbox of a field."""
        shown, address = parseaddr(self.header(name))
        return {"name": shown, "email": address}


def take_apart(mail: bytes) -> ChunkedResponse:
    """The pieces of a mail; header values unfolded, as they were written."""
    message = email.message_from_bytes(mail, policy=email.policy.default)
    pieces = ChunkedResponse()
    for name, value in message.raw_items():
        pieces.headers.setdefault(name, []).append(" ".join(str(value).split()))
    for part in message.walk():
        if isinstance(part, EmailMessage) and not part.is_multipart():
            _take(pieces, part)
    return pieces


def _take(pieces: ChunkedResponse, part: EmailMessage) -> None:
    kind, filename = part.get_content_type(), part.get_filename() or ""
    content = part.get_payload(decode=True)
    data = content if isinstance(content, bytes) else b""
    if not filename and kind == "text/plain" and not pieces.text:
        pieces.text = data.decode("utf-8", "replace")
    elif not filename and kind == "text/html" and not pieces.html:
        pieces.html = data.decode("utf-8", "replace")
    else:
        content_id = str(part["Content-ID"] or "").strip("<> ")
        pieces.files.append(File(data, filename, kind, content_id, part.get_content_disposition() == "inline"))
