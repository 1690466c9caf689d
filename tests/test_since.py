"""``since``, parsed: any text is a place to go on from, or refused with the reason."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from relay.delivery import since
from relay.delivery.replay import Resume
from relay.message_id import MessageId
from relay.store.keys import inbox_tag

A, B = "a@x.test", "b@x.test"
NOW_MS = 1_800_000_000_000
WORDS = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"[0-9]{1,12}[smhdx]", fullmatch=True),
    st.from_regex(r"[0-9a-f]{16}-[0-9]{1,17}-[0-9]{1,17}", fullmatch=True),
    st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,10})?(Z|[+ -]\d\d:\d\d)", fullmatch=True),
)


def message(inbox: str, ms: int, seq: int = 1) -> MessageId:
    return MessageId(f"{inbox_tag(inbox)}000000", ms, seq)


def parse(text: str) -> Resume | None:
    return since.parse([text], [A, B], whole_domains=False, now_ms=NOW_MS)


@given(st.lists(WORDS, max_size=5), st.booleans())
def test_any_text_is_understood_or_refused(words: list[str], whole_domains: bool) -> None:
    with contextlib.suppress(since.BadSince):
        resume = since.parse([",".join(words)], [A], whole_domains=whole_domains, now_ms=NOW_MS)
        assert resume is None or 0 <= resume.since_ms <= max(
            [NOW_MS + 60_000, *(one.ms for one in resume.messages)]
        )


def test_ages_and_moments() -> None:
    assert parse("10m") == Resume((), NOW_MS - 600_000)
    assert parse("2027-01-15T08:00:00Z") == parse("2027-01-15 09:00:00+01:00") == Resume((), 1_800_000_000_000)
    assert parse("2027-01-15t08:00:00.250z") == Resume((), 1_800_000_000_250)


def test_nothing_is_no_place() -> None:
    assert parse("") is parse(",") is parse(" , ") is None


def test_without_a_time_the_others_begin_with_the_oldest_id() -> None:
    assert parse(f"{message(A, 7)},{message(B, 5)}") == Resume((message(A, 7), message(B, 5)), 5)
    assert parse(f"{message(A, 7)},1m") == Resume((message(A, 7),), NOW_MS - 60_000)


def test_of_two_ids_of_one_inbox_the_older_counts() -> None:
    assert parse(f"{message(A, 7, 2)},{message(A, 6, 1)}") == Resume((message(A, 6, 1),), 6)
