"""The attachments of a mail with their bytes: those of which ``relay.mime.Parts`` has the checksums, in its order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from relay.errors import NotAMail
from relay.mime import charset, checked, headers, tree

_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}")  # RFC 2045 section 5.1
_ANGLES = " \t<>"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A leaf that is neither text nor HTML of the mail. What a mail does not say is ""."""

    checksum: str  # MD5 of content, lower-case hex
    disposition: str  # "attachment" or "inline"
    content_id: str  # without its angle brackets
    content_type: str  # "image/png", lower-case
    charset: str  # as claimed
    file_name: str  # as written by a stranger, decoded: may hold paths and control characters
    transfer_encoding: str  # "base64", lower-case; "7bit" when the mail says none (RFC 2045 section 6.1)
    content: bytes = field(repr=False)


def find(raw: bytes) -> list[Attachment]:
    """All attachments in the order of the mail; [] for what is no mail. Never raises."""
    try:
        raw = checked(raw)
    except NotAMail:
        return []
    leaves, _ = tree.leaves(raw, headers.split(raw, 0, len(raw)))
    return [_attachment(leaf, raw[leaf.block]) for leaf in leaves if not leaf.is_body]


def _attachment(leaf: tree.Leaf, block: bytes) -> Attachment:
    fields = headers.split(block, 0, len(block)).firsts()
    disposition = fields.get("content-disposition", b"")
    encoding = _TOKEN.match(fields.get("content-transfer-encoding", b""))
    return Attachment(
        checksum=leaf.checksum,
        disposition="inline" if disposition[:6].lower() == b"inline" else "attachment",
        content_id=headers.text(fields.get("content-id", b"")).strip(_ANGLES),
        content_type=leaf.kind,
        charset=leaf.charset,
        file_name=_file_name(disposition, fields.get("content-type", b"")),
        transfer_encoding=encoding[0].decode("ascii").lower() if encoding else "7bit",
        content=leaf.content,
    )


def _file_name(disposition: bytes, content_type: bytes) -> str:
    """RFC 2183 section 2.3, else the older parameter of Content-Type; encoded words are forbidden there, and usual."""
    name = headers.parameters(disposition).get(b"filename") or headers.parameters(content_type).get(b"name", b"")
    return headers.decode_words(charset.decode(name[: headers.MAX_DECODED]))
