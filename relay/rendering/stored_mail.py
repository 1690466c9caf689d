"""One stored message, and all that is shown of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from relay.errors import NotAMail
from relay.message import raw_of
from relay.mime import attachments, checked, headers
from relay.mime.attachments import Attachment
from relay.rendering import dirty
from relay.rendering.file_names import safe as safe_name
from relay.rendering.plain import as_text
from relay.rendering.safe import safe_html


@dataclass(frozen=True, slots=True)
class StoredMail:
    """What the renderings are made of. They take time with a large mail, and are best asked for in a thread."""

    raw: bytes  # the original
    own_text: str  # as the mail has it; "" = none
    own_html: str
    charset: str  # one in which raw is text: "utf-8" or "iso-8859-1"

    @classmethod
    def read(cls, frame: bytes) -> StoredMail:
        """From the message JSON as it is stored."""
        shape: dict[str, Any] = orjson.loads(frame)
        charset = "iso-8859-1" if shape.get("rawEncoding") == "latin1" else "utf-8"
        return cls(raw_of(shape), shape["text"], shape["html"], charset)

    def text(self) -> str:
        """The mail's own text, else one made from its HTML."""
        return self.own_text if self.own_text.strip() else as_text(self.own_html) or self.own_text

    def safe_html(self) -> str:
        """A page without scripts, images and links."""
        return dirty.page(safe_html(self.own_html)) if self.own_html.strip() else dirty.simple(self.own_text)

    def dirty_html(self) -> str:
        """The HTML as sent, attached images inlined; a simple page when there is none."""
        if not self.own_html.strip():
            return dirty.simple(self.own_text)
        if not dirty.refers(self.own_html):
            return self.own_html
        return dirty.inlined(self.own_html, self.attachments(), most=dirty.limit(len(self.raw)))

    def attachments(self) -> list[Attachment]:
        """In the order of the mail."""
        return attachments.find(self.raw)

    def attachment(self, name: str) -> Attachment | None:
        """The first with this checksum, content id (with or without angle brackets) or file name; None: no such."""
        bare = name.strip("<>")
        keys: tuple[Callable[[Attachment], bool], ...] = (
            lambda one: one.checksum == name.lower(),
            lambda one: one.content_id == bare != "",
            lambda one: safe_name(one.file_name) == name != "",
        )
        found = self.attachments()
        return next((one for key in keys for one in found if key(one)), None)

    def headers(self) -> list[tuple[str, str]]:
        """In order; lower-case names, unfolded values."""
        raw = self._mail()
        return headers.texts(headers.split(raw, 0, len(raw)))

    def header_block(self) -> str:
        """The headers as they were sent, folds and all, without the empty line behind them."""
        raw = self._mail()
        return headers.text(raw[: headers.split(raw, 0, len(raw)).body].rstrip(b"\r\n") + b"\n")

    def _mail(self) -> bytes:
        try:
            return checked(self.raw)
        except NotAMail:
            return b""
