"""The table of goals: what was measured stands beside what is wanted, and what was not measured is said to be so."""

from __future__ import annotations

import pytest

from bench import goals
from bench.cost import Reading


def told(readings: dict[str, Reading], measure: str) -> tuple[str, ...]:
    return next(row for row in goals.rows(readings) if row[0] == measure)


@pytest.mark.parametrize(("spent_us", "verdict"), [(54.0, "met"), (98.0, "missed")])
def test_a_goal_is_met_or_missed(spent_us: float, verdict: str) -> None:
    readings = {"passage.relay.3 KB.redis": Reading.of([spent_us])}
    row = told(readings, "Redis for a mail of 3 KB in and out")
    assert row[1:] == ("≤ 55 µs", f"{spent_us:.2f} µs", verdict)


def test_a_contestant_that_is_missing_leaves_its_goal_open() -> None:
    readings = {"passage.relay.30 KB.both": Reading.of([900.0])}
    row = told(readings, "a mail of 30 KB in and out, with Redis")
    assert row[2:] == ("no passage.Centrifugo + Redis.30 KB.both", "not measured")


def test_no_two_goals_have_the_same_words() -> None:
    said = [row[:2] for row in goals.rows({})]
    assert len(set(said)) == len(said)
