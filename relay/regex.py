"""Regular expressions of strangers, by RE2: time in proportion to pattern and text, whatever they say.

No look-around and no back-references; everything else is written as in Python's ``re``.
"""

from __future__ import annotations

from typing import Protocol, cast

import re2  # type: ignore[import-untyped]

MAX_CHARACTERS = 1000
_MAX_BYTES = 4 * 1024 * 1024  # of a compiled pattern; "(a{1000}){1000}" wants more, and is refused


class BadRegex(ValueError):
    """The text is no regular expression of RE2; says why."""


class Pattern(Protocol):
    """A compiled one."""

    def search(self, text: str) -> object | None:
        """None: it matches nowhere in the text."""
        ...


def compiled(text: str) -> Pattern:
    """Raises BadRegex."""
    if len(text) > MAX_CHARACTERS:
        raise BadRegex(f"has more than {MAX_CHARACTERS} characters")
    options = re2.Options()
    options.log_errors = False  # it would write the pattern to stderr
    options.max_mem = _MAX_BYTES
    try:
        return cast("Pattern", re2.compile(text, options))
    except (re2.error, UnicodeEncodeError) as error:
        raise BadRegex(
            f"is no regular expression of RE2 (no look-around, no back-references): {_reason(error)}"
        ) from None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    shown = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return "".join(character for character in shown if character.isprintable())[:200]
