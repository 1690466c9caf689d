"""HTML of strangers -> tags and text, in linear time. It judges nothing: what is safe is said by nh3 behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# So many take half a second at worst, all that is done with them included (measured). What is beyond is cut off, and
# a sentence says so.
MAX_TOKENS = 60_000
MAX_CHARACTERS = 1 << 20
# Characters that "&" counts for beside itself: a million of them would take nh3 8 s (measured).
_REFERENCE_WEIGHT = 8
# Longer ones are images written into the mail as data: URLs, or bombs of attributes.
_MAX_SOURCE = 4096


class Token(NamedTuple):
    """A tag, or the text up to the next one; a comment is text of no length, so that they are counted."""

    name: str  # lower-case; "" for text
    closing: bool  # </name>
    source: str  # as written; the bare tag when that is very long


CUT = Token("", False, " [… the rest of this message is too large to be shown here; its raw form has all of it]")

# WHATWG HTML section 13.2.5. A quoted value without an end takes all that is left, as there: to look for another
# meaning at each "<" would be quadratic. So does a tag of more than 10,000 attributes, which no mail has: a regex holds
# up all other threads. Each kind of value begins as no other does ("(?![^>])" is the one that is missing), so that
# there is one way to read a tag.
_TAG = re.compile(
    r"<(/?)([A-Za-z][^\s/>]*+)"
    r"((?:[^>=]++|=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\s\"'>][^\s>]*+|(?![^>]))){0,20000})>"
)
_OPENS = re.compile(r"</?[A-Za-z]")
_COMMENT_END = re.compile(r"--!?>")
# Their content is no markup, and not for reading.
_SKIPPED = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "template")
}


def names(text: str) -> frozenset[str]:
    """The words of ``text``, as a set."""
    return frozenset(text.split())


def tokens(html: str) -> Iterator[Token]:
    """Tags and text in order, the text still escaped; at most ``MAX_TOKENS``, and ``CUT`` when that is not all."""
    left = MAX_CHARACTERS
    for number, token in enumerate(_all(html)):
        weight = len(token.source) + _REFERENCE_WEIGHT * token.source.count("&")
        if weight > left or number == MAX_TOKENS:
            if not token.name:
                most = left // (1 + _REFERENCE_WEIGHT) if "&" in token.source else left
                yield Token("", False, _whole(token.source[:most]))
            yield CUT
            return
        left -= weight
        yield token


def _whole(text: str) -> str:
    """Without a character reference that was cut in two."""
    start = text.rfind("&", -40)
    return text[:start] if start >= 0 and ";" not in text[start:] else text


def _all(html: str) -> Iterator[Token]:
    position = 0
    while (start := html.find("<", position)) >= 0:
        if start > position:
            yield Token("", False, html[position:start])
        if _OPENS.match(html, start) is None:
            position = _behind_comment(html, start)
            yield Token("", False, "&lt;" if position == start + 1 else "")
        elif tag := _TAG.match(html, start):
            yield _token(tag)
            position = _behind(html, tag)
        else:
            return
        if position < 0:
            return
    if position < len(html):
        yield Token("", False, html[position:])


def _token(tag: re.Match[str]) -> Token:
    name, source = tag[2].lower(), tag[0]
    return Token(name, bool(tag[1]), source if len(source) <= _MAX_SOURCE else f"<{tag[1]}{name}>")


def _behind(html: str, tag: re.Match[str]) -> int:
    """Where to go on after a tag; -1 when its content takes all that is left."""
    end = None if tag[1] else _SKIPPED.get(tag[2].lower())
    if end is None:
        return tag.end()
    found = end.search(html, tag.end())
    return found.start() if found else -1


def _behind_comment(html: str, start: int) -> int:
    """Where a comment, or what HTML takes for one, ends; -1 when it takes all that is left. A lone "<" is itself."""
    if not html.startswith(("<!", "<?", "</"), start):
        return start + 1
    if html.startswith("<!--", start):
        if html.startswith((">", "->"), start + 4):
            return html.index(">", start) + 1
        found = _COMMENT_END.search(html, start + 4)
        return found.end() if found else -1
    return html.find(">", start) + 1 or -1
