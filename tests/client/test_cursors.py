"""Where a listener stands, beyond what a test with a real service can bring about."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.client.backoff import Backoff
from relay.client.cursors import BadCursors, Cursors
from relay.client.errors import Lost
from relay.client.frames import parse
from relay.message_id import MessageId

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


def message(box: int, ms: int, seq: int = 1, epoch: int = 0) -> MessageId:
    return MessageId(f"{box:010x}{epoch:06x}", ms, seq)


def words(cursors: Cursors, max_chars: int = 7000) -> list[str]:
    return unquote(cursors.since(max_chars=max_chars, tried_seconds=0.0)).split(",")


def test_the_newest_go_into_the_url_and_the_time_stands_for_the_rest() -> None:
    cursors = Cursors()
    cursors.began(NOW_MS, tried_seconds=0.0)
    messages = [message(box, NOW_MS + box * 1000) for box in range(10)]
    for one in messages:
        cursors.take(one, f"box{one.ms}@x.test")
    assert words(cursors) == [*map(str, reversed(messages)), "2027-01-15T07:59:58.000Z"]
    assert words(cursors, 120) == [*map(str, (messages[9], messages[8], messages[7])), "2027-01-15T08:00:00.000Z"]
    assert all(cursors.has(one) for one in messages)  # what the time brings again is dropped
    assert words(cursors, -1) == ["2027-01-15T08:00:00.000Z"]


def test_a_thousand_words_are_the_most() -> None:
    cursors = Cursors()
    cursors.began(NOW_MS, tried_seconds=0.0)
    for box in range(1200):
        cursors.take(message(box, NOW_MS + box), f"{box}@x.test")
    assert len(words(cursors, 1_000_000)) == 1000


def test_a_replay_of_nothing_but_repeats_goes_on_behind_them() -> None:
    cursors = Cursors()
    cursors.began(NOW_MS - DAY_MS, tried_seconds=0.0)
    for box in range(10):
        cursors.take(message(box, NOW_MS - DAY_MS + box), f"{box}@x.test")
    assert words(cursors, 50)[-1] == "2027-01-14T08:00:00.000Z"
    assert cursors.cut_short(NOW_MS)
    assert words(cursors, 50)[-1] == "2027-01-15T07:59:00.000Z"  # less a minute
    assert not cursors.cut_short(NOW_MS)  # nothing won: a gap
    words(cursors)
    assert not cursors.cut_short(NOW_MS + DAY_MS)  # all cursors are in the URL


@pytest.mark.parametrize(
    ("since", "first", "later"),
    [
        ("", "", "2027-01-15T07:59:58.000Z"),
        ("10m", "607s", "2027-01-15T07:49:51.500Z"),  # it tried for 6.5 s
        ("2027-01-15T06:00:00Z", "2027-01-15T06:00:00Z", "2027-01-15T06:00:00.000Z"),
        ("nonsense", "nonsense", "2027-01-15T07:59:58.000Z"),
        (f"{'0' * 16}-{NOW_MS - DAY_MS}-7", "", "2027-01-14T08:00:00.000Z"),
        (f"{'0' * 16}-999999999999999-7", "", "2027-01-15T07:59:58.000Z"),
    ],
)
def test_the_time_of_inboxes_without_a_message(since: str, first: str, later: str) -> None:
    cursors = Cursors(since)
    ids = [since] if since.startswith("0000") else []
    assert unquote(cursors.since(max_chars=7000, tried_seconds=6.5)) == ",".join([*ids, first] if first else ids)
    cursors.began(NOW_MS, tried_seconds=6.5)
    assert words(cursors) == [*ids, later]
    cursors.began(NOW_MS + DAY_MS, tried_seconds=6.5)
    assert words(cursors) == [*ids, later]


def test_a_repeat_is_known_and_what_only_looks_like_one_is_not() -> None:
    cursors = Cursors()
    cursors.take(message(1, NOW_MS, 5), "a@x.test")
    assert cursors.has(message(1, NOW_MS - 1, 4))
    assert cursors.has(message(1, NOW_MS, 5))
    assert not cursors.has(message(1, NOW_MS, 6))
    assert not cursors.has(message(1, NOW_MS + 1, 3))  # Redis lost its last writes and counts them again
    assert not cursors.has(message(2, NOW_MS, 5))
    cursors.take(message(1, NOW_MS, 1, epoch=1), "a@x.test")
    assert cursors.has(message(1, NOW_MS, 5))  # of the history before
    assert not cursors.has(message(1, NOW_MS - 1, 4))  # not seen
    for seq in range(2, 1100):
        cursors.take(message(1, NOW_MS, seq, epoch=1), "a@x.test")
    assert not cursors.has(message(1, NOW_MS, 5))  # forgotten


def test_the_quietest_inboxes_are_forgotten_beyond_a_limit() -> None:
    cursors = Cursors()
    cursors.began(NOW_MS, tried_seconds=0.0)
    for box in range(100_001):
        cursors.take(message(box, NOW_MS + box), f"{box}@x.test")
    assert cursors.has(message(1, NOW_MS + 1))
    kept = cursors.dump()
    assert kept is not None
    assert len(kept["cursors"]) == 100_000
    assert kept["since"] == "2027-01-15T08:00:00.000Z"


def test_what_is_kept_is_what_was_known() -> None:
    cursors = Cursors(str(message(3, NOW_MS)))
    assert cursors.dump() is None
    cursors.began(NOW_MS, tried_seconds=0.0)
    cursors.take(message(1, NOW_MS, 7), "a@x.test")
    cursors.take(message(2, NOW_MS, 7), "b@y.test")
    dumped = cursors.dump()
    assert Cursors.restore(dumped, listens=lambda _: True).dump() == dumped
    less = Cursors.restore(dumped, listens=lambda inbox: inbox == "a@x.test")
    assert (less.has(message(1, NOW_MS, 7)), less.has(message(2, NOW_MS, 7))) == (True, False)
    less.forget(str(message(1, 0)))
    assert not less.has(message(1, NOW_MS, 7))


JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.fixed_dictionaries(
            {"version": st.just(1), "since": st.text() | st.datetimes().map(str), "cursors": inner}
        )
        | st.dictionaries(st.text(), inner)
    ),
)


@given(JSON)
def test_any_json_is_restored_or_refused(value: object) -> None:
    with suppress(BadCursors):
        Cursors.restore(value, listens=lambda _: True).since(max_chars=7000, tried_seconds=0.0)


@given(st.text())
def test_any_since_is_passed_on_as_a_query_can_hold_it(since: str) -> None:
    cursors = Cursors(since)
    sent = cursors.since(max_chars=7000, tried_seconds=0.0)
    assert sent.isascii()
    assert not set(sent) & set("&# \n")
    cursors.began(NOW_MS, tried_seconds=0.0)
    assert cursors.since(max_chars=7000, tried_seconds=0.0)


@given(st.binary() | JSON.map(lambda value: repr(value).replace("'", '"').encode("utf-8", "replace")))
def test_any_frame_is_something(data: bytes) -> None:
    assert str(parse(data))


def test_waits_grow_to_half_a_minute_and_begin_anew_when_it_worked() -> None:
    lost = Lost("x")
    for random, expected in (
        (0.0, [0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]),
        (1.0, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]),
    ):
        backoff = Backoff(random=lambda value=random: value)  # type: ignore[misc]
        assert [backoff.next_seconds(lost) for _ in expected] == expected
        backoff.proven()
        assert backoff.next_seconds(lost) == expected[0]


def test_a_restart_spreads_all_over_five_seconds_and_who_asks_for_time_gets_it() -> None:
    assert Backoff(random=lambda: 1.0).next_seconds(Lost("x", restarts=True)) == 5.0
    assert Backoff(random=lambda: 0.0).next_seconds(Lost("x", restarts=True)) == 0.0
    assert Backoff(random=lambda: 0.5).next_seconds(Lost("x", asked_seconds=60)) == 60.5
    assert Backoff(random=lambda: 0.5).next_seconds(Lost("x", asked_seconds=86400)) == 300.5
    waits = {Backoff().next_seconds(Lost("x", restarts=True)) for _ in range(100)}
    assert len(waits) == 100
    assert max(waits) - min(waits) > 2.5
