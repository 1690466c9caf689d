"""Regular expressions of strangers: any text is one, or refused with the reason, and no text takes long."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.regex import MAX_CHARACTERS, BadRegex, compiled


@given(st.text(max_size=60), st.text(max_size=200))
def test_any_text_is_a_regex_or_refused(pattern: str, text: str) -> None:
    with suppress(BadRegex):
        compiled(pattern).search(text)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)*x", "^(([a-z])+.)+[A-Z]$"])
def test_what_blows_up_elsewhere_takes_no_time(pattern: str) -> None:
    compiled(pattern).search("a" * 1_000_000)


@pytest.mark.parametrize(
    "pattern", ["(", "(?=a)", r"(a)\1", "((a{1000}){1000}){1000}", "a" * (MAX_CHARACTERS + 1)]
)
def test_what_re2_has_not_is_refused(pattern: str) -> None:
    with pytest.raises(BadRegex):
        compiled(pattern)
