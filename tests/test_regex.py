"""Regular expressions of strangers: any text is one, or refused with the reason, and no text takes long."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.regex import MAX_CHARACTERS, SEARCHED_CHARACTERS, BadRegex, compiled


@given(st.text(max_size=60), st.text(max_size=200))
def test_any_text_is_a_regex_or_refused(pattern: str, text: str) -> None:
    with suppress(BadRegex):
        compiled(pattern).found_in(text)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)*x", "^(([a-z])+.)+[A-Z]$"])
def test_what_blows_up_elsewhere_takes_no_time(pattern: str) -> None:
    compiled(pattern).found_in("a" * 1_000_000)


@pytest.mark.parametrize(
    "pattern",
    ["(", "(?=a)", r"(a)\1", "[^c]{0,999}[^d]{0,999}c", "((a{1000}){1000}){1000}", "a" * (MAX_CHARACTERS + 1)],
)
def test_what_re2_has_not_is_refused(pattern: str) -> None:
    with pytest.raises(BadRegex):
        compiled(pattern)


def test_a_large_pattern_looks_at_less_text() -> None:
    small, large = compiled("needle"), compiled("[^c]{0,300}needle")
    assert small.searched_characters == SEARCHED_CHARACTERS > large.searched_characters
    for pattern in (small, large):
        assert pattern.found_in("x" * (pattern.searched_characters - 6) + "needle")
        assert not pattern.found_in("x" * pattern.searched_characters + "needle")
