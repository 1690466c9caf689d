"""What came instead of a mail, as a person reads it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.client.instead import told

MISS = {
    "subject": "Welcome",
    "from": [{"address": "ann@sender.test"}],
    "received": "2026-11-21T12:03:05.123Z",
    "text": "arrived, but: subject differs",
}
SAID = '"Welcome" from ann@sender.test at 12:03:05Z: arrived, but: subject differs'
OTHER = {"inbox": "a+tag@x.test", "from": "ann@sender.test", "time": "2026-11-21T12:03:06.123Z", "text": "…"}
OTHER_SAID = "; but mail for another address did: a+tag@x.test from ann@sender.test at 12:03:06Z"


@pytest.mark.parametrize(
    ("misses", "others", "said"),
    [
        ([], [], "no mail at all came"),
        ([], [OTHER], f"no mail at all came{OTHER_SAID}"),
        ([MISS], [OTHER], f"1 other mail came: {SAID}{OTHER_SAID}"),
        ([MISS, MISS], [], f"2 other mails came: {SAID}; {SAID}"),
        ([MISS] * 5, [], f"5 other mails came, the last 3 were: {SAID}; {SAID}; {SAID}"),
        ([{"subject": "", "text": "it"}], [], "1 other mail came: one without a subject: it"),
        ([{"subject": "a\x1b[2J\u202e" + "b" * 100}], [], f'1 other mail came: "a�[2J�{"b" * 74}…": '),
    ],
)
def test_what_came_is_named(misses: list[dict[str, Any]], others: list[dict[str, Any]], said: str) -> None:
    assert told(misses, others) == said


VALUES = (
    st.none() | st.integers() | st.text() | st.lists(st.text() | st.dictionaries(st.just("address"), st.text()))
)
ENTRIES = st.lists(st.dictionaries(st.sampled_from([*MISS, *OTHER]), VALUES), max_size=5)


@given(ENTRIES, ENTRIES)
def test_whatever_a_service_tells_it_is_one_short_line(
    misses: list[dict[str, Any]], others: list[dict[str, Any]]
) -> None:
    said = told(misses, others)
    assert said.isprintable()
    assert len(said) < 2500
