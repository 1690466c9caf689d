"""HTML as it was sent, with the images that came with it written into it: nothing need be fetched to show it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape, unescape
from itertools import islice
from urllib.parse import unquote

from relay.mime.attachments import Attachment

# Characters of all data: URLs. Each image of a mail fits in once, as it came; one that is named again and again would
# make gigabytes of it.
MAX_INLINED = 40 << 20
_MIN_INLINED = 1 << 20
_INLINED_PER_BYTE = 4  # of the mail
MAX_REFERENCES = 1000  # that are replaced
# RFC 2392, as the value of an attribute or of url() in a style.
_REFERENCE = re.compile(r"((?:=|\burl\()\s{0,32}+(?:[\"']|&quot;)?)cid:([^\s\"'<>()\\]{1,1000}+)", re.IGNORECASE)
_WINDOW = 64 * 1024  # characters that are looked through at once: a regex holds up all other threads
_LONGEST = 2048  # reference
_IMAGE = re.compile(r"image/[a-z0-9][a-z0-9.+-]{0,63}")
_PAGE = '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>{}</body></html>\n'
_QUOTE = "&quot;"


def limit(mail_bytes: int) -> int:
    """Characters of data: URLs in the page of a mail of that size."""
    return min(max(_INLINED_PER_BYTE * mail_bytes, _MIN_INLINED), MAX_INLINED)


def refers(html: str) -> bool:
    """Whether there is any ``cid:``."""
    return next(_references(html), None) is not None


def inlined(html: str, attachments: Iterable[Attachment], *, most: int = MAX_INLINED) -> str:
    """``html`` with each ``cid:`` of an attached image replaced by that image; others stay as they are.

    ``most``: characters of all data: URLs.
    """
    named = [one for one in attachments if one.content_id and _IMAGE.fullmatch(one.content_type)]
    images = {one.content_id: one for one in reversed(named)}  # the first of an id counts
    if not images:
        return html
    urls = _Urls(images, most)
    pieces, done = [], 0
    for match in islice(_references(html), MAX_REFERENCES):
        if url := urls.take(unquote(unescape(match[2].removesuffix(_QUOTE)))):
            pieces += [html[done : match.end(1)], url, _QUOTE if match[2].endswith(_QUOTE) else ""]
            done = match.end()
    return "".join([*pieces, html[done:]])


class _Urls:
    """The data: URLs of some images, each made once, and so many characters of them."""

    def __init__(self, images: Mapping[str, Attachment], left: int) -> None:
        self._images = images
        self._left = left
        self._made: dict[str, str] = {}

    def take(self, content_id: str) -> str:
        """ "" when there is no such image, or it would be too much."""
        image = self._images.get(content_id)
        if image is None or len(image.content) > self._left:
            return ""
        if content_id not in self._made:
            encoded = base64.b64encode(image.content).decode("ascii")
            self._made[content_id] = f"data:{image.content_type};base64,{encoded}"
        url = self._made[content_id]
        if len(url) > self._left:
            return ""
        self._left -= len(url)
        return url


def _references(html: str) -> Iterator[re.Match[str]]:
    start = 0
    while start < len(html):
        end = start + _WINDOW
        for match in _REFERENCE.finditer(html, start, end + _LONGEST):
            if match.start() >= end:
                break
            yield match
            start = match.end()
        start = max(start, end)


def simple(text: str) -> str:
    """A page for a mail that has no HTML."""
    return page(f'<pre style="white-space: pre-wrap; font-family: inherit">{escape(text)}</pre>')


def page(fragment: str) -> str:
    """A whole document, which says its charset also when it is read from a file."""
    return _PAGE.format(fragment)
