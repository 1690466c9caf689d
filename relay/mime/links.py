"""http and https URLs of a mail's text and HTML. Linear in the input: every look is at a window of fixed size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

# A newsletter has some hundred; ten thousand would make the JSON larger than the mail for no reader's good.
MAX_LINKS = 1_000
# What browsers and servers agree on in practice. A longer one is left out: cut short it would lead elsewhere.
MAX_LENGTH = 2_048
# That are looked at, each time that one is met: a look takes some microseconds, and a mail has room for millions.
MAX_LOOKS = 50_000
_WINDOW = 4 * MAX_LENGTH  # in HTML "&amp;" stands for one character

_SCHEME = re.compile(r"https?\Z", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"[\s\"'/](?:href|src)\s*=\s*([\"']?)\s*(https?)\Z", re.IGNORECASE)
_ATTRIBUTE_REACH = 40  # longest way back from "://" to the blank before the attribute's name
_IN_TEXT = re.compile(r"[^\s<>\"`{}|\\^\x00-\x20\x7f]*+")
_HOST = re.compile(r"[\w\[]")
_CLOSING = {")": "(", "]": "["}


def find(text: str, html: str) -> tuple[tuple[str, ...], int]:
    """URLs of the text, then of href and src in the HTML; each once, in order. At most ``MAX_LINKS``.

    With the number of those that are left out; not each once, and what nobody looked at is not among them.
    """
    links: dict[str, None] = {}
    left_out = 0
    for source in (_in_text(text), _in_html(html)):
        for link in source:
            if len(links) < MAX_LINKS:
                links[link] = None
            elif link not in links:
                left_out += 1
    return tuple(links), left_out


def _in_text(text: str) -> Iterator[str]:
    position = looks = 0
    while looks < MAX_LOOKS and (found := text.find("://", position)) >= 0:
        looks += 1
        position = found + 3
        scheme = _SCHEME.search(text, max(0, found - 5), found)
        if scheme is None:
            continue
        rest = _IN_TEXT.match(text, position, position + MAX_LENGTH)
        position = rest.end() if rest else position
        url = scheme[0] + text[found:position]
        if len(url) <= MAX_LENGTH:  # before the trimming, which must not make a cut URL look whole
            url = _trimmed(url)
            if _has_host(url):
                yield url


def _trimmed(url: str) -> str:
    """Without the punctuation of the sentence around it; a closing bracket stays when it was opened inside."""
    end = len(url)
    balance = {closing: url.count(closing) - url.count(opening) for closing, opening in _CLOSING.items()}
    while end:
        last = url[end - 1]
        if last in balance and balance[last] > 0:
            balance[last] -= 1
        elif last not in ".,;:!?'*":
            break
        end -= 1
    return url[:end]


def _in_html(html: str) -> Iterator[str]:
    position = looks = 0
    while looks < MAX_LOOKS and (found := html.find("://", position)) >= 0:
        looks += 1
        position = found + 3
        before = _ATTRIBUTE.search(html, max(0, found - _ATTRIBUTE_REACH), found)
        if before is None:
            continue
        end = _value_end(html, found, before[1])
        if end < 0:
            # A value without an end has no attribute in it; to look again at each "://" would be quadratic.
            position = found + _WINDOW
            continue
        position = max(position, end)
        url = _unescaped(html[before.start(2) : end])
        if len(url) <= MAX_LENGTH and _has_host(url):
            yield url


_UNQUOTED_END = re.compile(r"[\s>]")


def _value_end(html: str, start: int, quote: str) -> int:
    """Where the attribute's value ends; -1 when it does not within the window."""
    if quote:
        return html.find(quote, start, start + _WINDOW)
    end = _UNQUOTED_END.search(html, start, start + _WINDOW)
    return -1 if end is None else end.start()


# WHATWG URL standard: line breaks and tabs inside a URL do not count.
_LINE_BREAKS = str.maketrans("", "", "\t\r\n")


def _unescaped(value: str) -> str:
    if "&" in value:
        value = unescape(value)
    if not value.isprintable():
        value = value.translate(_LINE_BREAKS)
    return value.strip()


def _has_host(url: str) -> bool:
    return _HOST.match(url, url.find("://") + 3) is not None
