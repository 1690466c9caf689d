"""Address header fields -> mailboxes, RFC 5322 section 3.4. Total: what cannot be read gives no mailbox.

Own code, because email.utils (3.11) recurses on comments and splits at a comma inside an encoded word,
email.headerregistry takes ten times as long, and fast-mail-parser (0.10) keeps only the first From and stumbles
behind a group.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from relay.message import EmailAddress
from relay.mime.headers import decode_words

# The two shapes that nearly every field has; what has more goes the long way.
_SIMPLE = re.compile(
    r'\s*+(?:(?:"([^"\\=]*+)"|([^"\\=<>,;:()@\[\]]*+))\s*+<([^\s<>"(),:;@\\\[\]]++@[^\s<>"(),:;@\\\[\]]++)>'
    r'|([^\s<>"(),:;@\\\[\]]++@[^\s<>"(),:;@\\\[\]]++))\s*+'
)
# Every alternative ends at the first character it cannot be, so that no start is scanned twice over a long way:
# a quoted string without its end reaches to the end of the text, and is then read once more without quotes.
_TOKEN = re.compile(
    r"""
    (?P<word>=\?[^?\s]{1,128}+\?[QqBb]\?[^?=]*+(?:(?:=(?!\?(?!=))|\?(?!=))[^?=]*+)*\?=)
  | "(?P<quoted>[^"\\]*+(?:\\.[^"\\]*+)*)(?P<closed>"?)
  | <(?P<angle>[^<>"\\]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*"[^<>"\\]*+)*)>
  | (?P<literal>\[[^\[\]]*+\])
  | (?P<special>[,;:(])
  | (?P<blank>\s++|[<>)\\])
  | (?P<atom>[^\s<>"(),:;\\\[\]=]++|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_IN_COMMENT = re.compile(r"\\.|[()]", re.DOTALL)
_ROUTE = re.compile(r"\s*+@[^:<>\"]*+:")  # RFC 5322 section 4.4: <@relay.example:user@example.com>
_COMMENT_OR_BLANK = re.compile(r"\([^()]*+\)|\s++")
_LINE_BREAKS = re.compile(r"[\r\n]+")


def mailboxes(value: str) -> list[EmailAddress]:
    """The mailboxes of one field's value, in order; members of groups stand among the others."""
    simple = _SIMPLE.fullmatch(value)
    if simple is not None:
        quoted, plain, angle, bare = simple.groups()
        return [EmailAddress(angle or bare, (quoted or plain or "").strip())]
    return _read(value)


@dataclass(slots=True)
class _Entry:
    """What was read since the last comma."""

    words: list[list[str]] = field(default_factory=list)  # of the phrase or bare address; each in pieces
    address: str = ""  # out of angle brackets
    comment: str = ""
    glued: bool = False  # no blank between the last piece and the next

    def add(self, piece: str) -> None:
        if self.glued:
            self.words[-1].append(piece)
        else:
            self.words.append([piece])
        self.glued = True

    def mailbox(self) -> EmailAddress | None:
        """None when there is nothing that could be an address."""
        if self.address:
            return EmailAddress(self.address, _name(map("".join, self.words)) or _name([self.comment]))
        words = _around_at(["".join(pieces) for pieces in self.words])
        for index, word in enumerate(words):
            if "@" in word.strip("@"):
                return EmailAddress(word, _name(words[:index] + words[index + 1 :]) or _name([self.comment]))
        if len(words) == 1 and _LOCAL.fullmatch(words[0]):  # "From: root (Cron Daemon)"
            return EmailAddress(words[0], _name([self.comment]))
        return None


_LOCAL = re.compile(r"[A-Za-z0-9_.-]+")


def _read(value: str) -> list[EmailAddress]:
    """The long way: token by token. A quoted string or comment without an end is read again without its signs."""
    found: list[EmailAddress | None] = []
    entry = _Entry()
    position = 0
    while (match := _TOKEN.match(value, position)) is not None:
        position = match.end()
        if match.lastgroup == "special":
            if match[0] == "(":
                value, position = _comment(entry, value, position)
                continue
            if match[0] != ":":  # in front of ":" stood the name of a group, which is no mailbox
                found.append(entry.mailbox())
            entry = _Entry()
        elif match.lastgroup == "closed" and not match["closed"]:
            value, position = match["quoted"].replace('"', " "), 0
        else:
            _take(entry, match, local=value.startswith("@", position))
    found.append(entry.mailbox())
    return [mailbox for mailbox in found if mailbox is not None]


def _take(entry: _Entry, match: re.Match[str], *, local: bool) -> None:
    """``local``: an "@" follows, so that quotes belong to the address; in a name they do not."""
    match match.lastgroup:
        case "angle":
            entry.address = entry.address or _bare(match["angle"])
            entry.glued = False
        case "blank":
            entry.glued = False
        case "closed" if not local:
            entry.add(_ESCAPED.sub(r"\1", match["quoted"]))
        case _:
            entry.add(match[0])


def _comment(entry: _Entry, value: str, position: int) -> tuple[str, int]:
    """What to read on with behind the comment that opened before ``position``; they nest (RFC 5322, 3.2.2)."""
    entry.glued = False
    depth = 1
    for match in _IN_COMMENT.finditer(value, position):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            entry.comment = entry.comment or value[position : match.start()]
            return value, match.end()
    return value[position:].translate(_NO_BRACKETS), 0


_NO_BRACKETS = str.maketrans("()", "  ")


def _bare(angle: str) -> str:
    """The addr-spec inside angle brackets, without route, comments and the blanks of obsolete syntax."""
    route = _ROUTE.match(angle)
    angle = angle[route.end() :] if route else angle
    return angle.strip() if '"' in angle else _COMMENT_OR_BLANK.sub("", angle)


def _around_at(words: list[str]) -> list[str]:
    """``user @ example.com`` is one word, RFC 5322 section 4.4."""
    joined: list[list[str]] = []
    for word in words:
        if joined and (word.startswith("@") or joined[-1][-1].endswith("@")):
            joined[-1].append(word)
        else:
            joined.append([word])
    return ["".join(pieces) for pieces in joined]


def _name(words: Iterable[str]) -> str:
    return _LINE_BREAKS.sub(" ", decode_words(" ".join(words))).strip()
