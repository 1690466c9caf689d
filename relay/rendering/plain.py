"""HTML of strangers -> text for reading: paragraphs, lists and rows keep their lines, what is not for reading goes."""

from __future__ import annotations

import re
from html import unescape

from relay.rendering.markup import Token, names, tokens

_PARAGRAPHS = names("p h1 h2 h3 h4 h5 h6 ul ol dl table blockquote pre hr")
_LINES = names(
    "address article aside body caption center dd details div dt fieldset figcaption figure footer form header legend "
    "li main nav option section summary tr"
)
_CELLS = frozenset({"td", "th"})
# Of HTML (a no-break space stays, and becomes a blank in the end).
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_ALT = re.compile(r"\salt\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+))", re.IGNORECASE)


def as_text(html: str) -> str:
    """The text, each line ending with "\\n"; "" when there is none. Never raises; linear."""
    page = _Page()
    for token in tokens(html):
        if token.name:
            _tag(page, token)
        else:
            page.write(unescape(token.source) if "&" in token.source else token.source)
    return page.text()


def _tag(page: _Page, token: Token) -> None:
    name = token.name
    if name == "br":
        page.end_line()
    elif name in _PARAGRAPHS:
        page.separate(2)
        if name == "pre":
            page.verbatim = not token.closing
    elif name in _LINES:
        page.separate(1)
        if name == "li" and not token.closing:
            page.write("- ")
    elif name in _CELLS:
        page.write(" ")
    elif name == "img" and (alt := _ALT.search(token.source)):
        page.write(unescape(alt[1] or alt[2] or alt[3] or ""))


class _Page:
    """Text with its blanks joined, and line ends where blocks meet."""

    def __init__(self) -> None:
        self.verbatim = False
        self._out: list[str] = []
        self._line_ends = 2  # at the end of what is written; the page begins as if behind a paragraph
        self._wanted = 0
        self._blank = False  # one is due before the next word

    def separate(self, line_ends: int) -> None:
        """At least so many line ends before the next text, and none at all before the first."""
        self._wanted = max(self._wanted, line_ends)
        self._blank = False

    def end_line(self) -> None:
        """One more line end, even when there is one: an empty line."""
        self._settle()
        self._out.append("\n")
        self._line_ends += 1
        self._blank = False

    def write(self, text: str) -> None:
        if self.verbatim:
            self._append(text)
            return
        words = _BLANKS.sub(" ", text)
        inner = words.strip(" ")
        self._blank = self._blank or words.startswith(" ")
        if inner:
            self._append(inner)
            self._blank = words.endswith(" ")

    def text(self) -> str:
        written = "".join(self._out).replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ").strip()
        return "\n".join(line.rstrip() for line in written.split("\n")) + "\n" if written else ""

    def _append(self, text: str) -> None:
        if not text:
            return
        self._settle()
        if self._blank and not self._line_ends:
            self._out.append(" ")
        self._out.append(text)
        self._line_ends = len(text) - len(text.rstrip("\n")) if text.endswith("\n") else 0
        self._blank = False

    def _settle(self) -> None:
        missing = self._wanted - self._line_ends
        if missing > 0:
            self._out.append("\n" * missing)
            self._line_ends += missing
        self._wanted = 0
