"""HTML as it was sent, with the images that came with it written into it: nothing need be fetched to show it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from html import escape, unescape
from urllib.parse import unquote

from relay.mime.attachments import Attachment

# Characters of all data: URLs; images that are named again and again would else make gigabytes of a mail.
MAX_INLINED = 40 << 20
# RFC 2392, as the value of an attribute or of url() in a style.
_REFERENCE = re.compile(r"((?:=|\burl\()\s*+(?:[\"']|&quot;)?+)cid:([^\s\"'<>()\\]{1,1000}+)", re.IGNORECASE)
_IMAGE = re.compile(r"image/[a-z0-9][a-z0-9.+-]{0,63}")
_PAGE = '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>{}</body></html>\n'
_QUOTE = "&quot;"


def inlined(html: str, attachments: Iterable[Attachment]) -> str:
    """``html`` with each ``cid:`` of an attached image replaced by that image; others stay as they are."""
    named = [one for one in attachments if one.content_id and _IMAGE.fullmatch(one.content_type)]
    images = {one.content_id: one for one in reversed(named)}  # the first of an id counts
    urls: dict[str, str] = {}
    left = MAX_INLINED

    def url(match: re.Match[str]) -> str:
        nonlocal left
        content_id = unquote(unescape(match[2].removesuffix(_QUOTE)))
        image = images.get(content_id)
        if image is None:
            return match[0]
        if content_id not in urls:
            urls[content_id] = (
                f"data:{image.content_type};base64,{base64.b64encode(image.content).decode('ascii')}"
            )
        left -= len(urls[content_id])
        if left < 0:
            return match[0]
        return match[1] + urls[content_id] + (_QUOTE if match[2].endswith(_QUOTE) else "")

    return _REFERENCE.sub(url, html) if images else html


def simple(text: str) -> str:
    """A page for a mail that has no HTML."""
    return page(f'<pre style="white-space: pre-wrap; font-family: inherit">{escape(text)}</pre>')


def page(fragment: str) -> str:
    """A whole document, which says its charset also when it is read from a file."""
    return _PAGE.format(fragment)
