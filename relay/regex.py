"""Regular expressions of strangers, by RE2: time in proportion to pattern and text, whatever they say.

In proportion to their product, so that is limited too: a large pattern looks at less text. No look-around and no
back-references; everything else is written as in Python's ``re``.
"""

from __future__ import annotations

from typing import Protocol, cast

import re2  # type: ignore[import-untyped]

MAX_CHARACTERS = 1000
SEARCHED_CHARACTERS = 64 * 1024  # the first of a text
_MAX_STEPS = 5000  # of a compiled pattern: "[a-f0-9]{32}" has 68, "\\p{L}" 1,200
_MAX_WORK = 50_000_000  # steps times characters: 0.2 s at worst (4 ns each, measured), without the GIL
_MAX_BYTES = 4 * 1024 * 1024  # of a compiled pattern; "(a{1000}){1000}" wants more, and is refused


class BadRegex(ValueError):
    """The text is no regular expression of RE2; says why."""


class _Compiled(Protocol):
    programsize: int

    def search(self, text: str) -> object | None: ...


class Pattern:
    """A compiled one."""

    def __init__(self, pattern: _Compiled) -> None:
        self._pattern = pattern
        self.searched_characters = min(SEARCHED_CHARACTERS, _MAX_WORK // max(pattern.programsize, 1))
        self.is_small = pattern.programsize * self.searched_characters <= _MAX_WORK // 10

    def found_in(self, text: str) -> bool:
        """Whether it matches somewhere in the first ``searched_characters`` of the text."""
        return self._pattern.search(text[: self.searched_characters]) is not None


def compiled(text: str) -> Pattern:
    """Raises BadRegex."""
    if len(text) > MAX_CHARACTERS:
        raise BadRegex(f"has more than {MAX_CHARACTERS} characters")
    options = re2.Options()
    options.log_errors = False  # it would write the pattern to stderr
    options.max_mem = _MAX_BYTES
    try:
        pattern = cast("_Compiled", re2.compile(text, options))
    except (re2.error, UnicodeEncodeError) as error:
        raise BadRegex(
            f"is no regular expression of RE2 (no look-around, no back-references): {_reason(error)}"
        ) from None
    if pattern.programsize > _MAX_STEPS:
        raise BadRegex("is too large: counted repeats and classes of letters make it so; use fewer, or * and +")
    return Pattern(pattern)


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    shown = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return "".join(character for character in shown if character.isprintable())[:200]
