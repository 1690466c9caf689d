"""HTML of strangers with its tags in order: well nested, each closed, shallow. Linear; nothing is judged safe here.

A browser's parser, given elements that are closed crosswise, opens them again in each block that follows: a mail of
65 KB becomes 63 MB there, 8 s and 2 GB (measured in nh3 0.3.8). What comes out of here costs it linear time.
"""

from __future__ import annotations

from relay.rendering.markup import Token, names, tokens

MAX_DEPTH = 100  # a parser's time grows with it; Chromium itself stops at 512
MAX_FORMATTING = 16  # of these open at once: they are what a parser opens again

FORMATTING = names("b big code em font i s small strike strong tt u")
BLOCKS = names(
    "address article aside blockquote center dd details div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header "
    "hr li main nav ol p pre section summary table ul"
)
TABLE_PARTS = names("caption col colgroup tbody td tfoot th thead tr")
_INLINE = names("abbr acronym bdi bdo br cite del dfn ins kbd mark q rp rt ruby samp span sub sup time var wbr")
_VOID = names("br col hr wbr")
TAGS = FORMATTING | BLOCKS | TABLE_PARTS | _INLINE

# What an opening tag ends when it is open (HTML lets many end tags be left out), and what that does not reach out of.
_CELLS = names("td th caption table")
_TABLE = names("table")
_GROUPS = names("thead tbody tfoot")
_ENDS = {
    "li": (names("li"), names("ul ol") | _CELLS),
    "dd": (names("dd dt"), names("dl") | _CELLS),
    "dt": (names("dd dt"), names("dl") | _CELLS),
    "td": (names("td th"), _TABLE),
    "th": (names("td th"), _TABLE),
    "tr": (names("tr"), _TABLE),
    **dict.fromkeys(_GROUPS, (_GROUPS, _TABLE)),
}
_PARAGRAPH = names("p")


def in_order(html: str) -> str:
    """The same with ``TAGS`` only, at most ``MAX_DEPTH`` of them open at once."""
    order = _Order()
    for token in tokens(html):
        if not token.name:
            order.out.append(token.source)
        elif token.name not in TAGS:
            continue
        elif token.closing:
            order.close(token.name)
        else:
            order.open(token)
    order.close_from(0)
    return "".join(order.out)


class _Order:
    """What is open, and what has been written."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self._open: list[str] = []
        self._formatting = 0

    def open(self, token: Token) -> None:
        name = token.name
        if name in BLOCKS:
            self._close(_PARAGRAPH, _CELLS)
        if name in _ENDS:
            self._close(*_ENDS[name])
        formatting = name in FORMATTING
        if len(self._open) >= MAX_DEPTH or (formatting and self._formatting >= MAX_FORMATTING):
            return
        self.out.append(token.source)
        if name not in _VOID:
            self._open.append(name)
            self._formatting += formatting

    def close(self, name: str) -> None:
        """The innermost of the name, and what is open in it; nothing when there is none in this cell."""
        if name == "table":
            self._close(_TABLE, frozenset())
        else:
            self._close(frozenset({name}), _TABLE if name in TABLE_PARTS else _CELLS)

    def close_from(self, place: int) -> None:
        for name in reversed(self._open[place:]):
            self.out.append(f"</{name}>")
            self._formatting -= name in FORMATTING
        del self._open[place:]

    def _close(self, wanted: frozenset[str], guards: frozenset[str]) -> None:
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place] in wanted:
                self.close_from(place)
                return
            if self._open[place] in guards:
                return
