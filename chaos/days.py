"""The rows of the table: which scenario, for how long, with how much."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bad_days import (
    slow_lines,
    test_client_away,
    test_failover,
    test_large_mail,
    test_link_deaf,
    test_links_killed,
    test_posted_again,
    test_reader_stalled,
    test_redis_emptied,
    test_redis_frozen,
    test_redis_killed,
    test_rolling_restart,
    test_service_killed,
)
from tests.bad_days.follower import Waits
from tests.bad_days.tally import Tally
from tests.redis_server import RedisServer

_KIB = 1024
reopened_seconds: list[float] = []  # of the rolling restart, for the histogram


@dataclass(frozen=True, slots=True)
class Day:
    """One row. ``run`` gets a redis-server that keeps its data, and an empty folder."""

    text: str
    run: Callable[[RedisServer, Path], Awaitable[Tally]]


DAYS: dict[str, Day] = {
    "client-away": Day(
        "a client is away for 5 s while 500 mails come",
        partial(test_client_away.scenario, mails=500, away_seconds=5),
    ),
    "service-killed": Day(
        "3 processes are killed under load, another takes over",
        partial(test_service_killed.scenario, kills=3, mails=300),
    ),
    "redis-killed": Day(
        "redis-server is killed 5 times, and starts again",
        partial(test_redis_killed.scenario, kills=5, mails=500, pause_seconds=0.01),
    ),
    "redis-frozen": Day(
        "redis-server hangs for 10 s",
        partial(
            test_redis_frozen.scenario,
            frozen_seconds=10,
            redis_timeout_seconds=5,
            answer_seconds=5,
        ),
    ),
    "link-deaf": Day(
        "the pub/sub link is half-open; the probe every 30 s",
        partial(test_link_deaf.scenario, probe_seconds=30, mails=500),
    ),
    "links-killed": Day(
        "the pub/sub link is cut every second for 20 s",
        partial(test_links_killed.scenario, cuts=20, every_seconds=1, pause_seconds=0.01),
    ),
    "large-mail": Day(
        "a mail of 20 MB among 1,000 small ones",
        partial(test_large_mail.scenario, large_bytes=20_000_000, mails=500),
    ),
    "slow-line": Day(
        "a mail of 10 MB and 3 small ones over 1 Mbit/s, to 3 clients",
        partial(slow_lines.scenario, large_bytes=10_000_000),
    ),
    "redis-emptied": Day(
        "FLUSHALL 3 times, under one client and behind another",
        partial(test_redis_emptied.scenario, mails=300, times=3),
    ),
    "failover": Day(
        "Sentinels promote a replica that lagged by 300 mails",
        partial(test_failover.scenario, mails=300),
    ),
    "rolling-restart": Day(
        "2 processes restart under 2,000 sockets",
        partial(
            test_rolling_restart.scenario,
            sockets=2000,
            mails=20,
            waits=Waits(),
            pause_seconds=0.2,
            reopened_seconds=reopened_seconds,
        ),
    ),
    "posted-again": Day(
        "each of 500 events is posted 3 times, to 2 processes",
        partial(test_posted_again.scenario, events=500),
    ),
    "reader-stalled": Day(
        "a listener reads nothing while 10,000 mails come",
        partial(test_reader_stalled.scenario, mails=10_000, mail_bytes=4 * _KIB),
    ),
}
