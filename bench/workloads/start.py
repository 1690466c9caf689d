"""Starting with an accounts file of 10, 10,000 and 100,000 addresses: the first time, and when nothing has changed.

Times count from the start of the process: until it says that it is ready (/readyz), and until REST shows the file's
last address as well, for who is ready before. CPU is that of the process and of Redis from the start until neither
works any more, so that work which goes on behind the readiness counts too. Each first start has a Redis that is empty;
the unchanged one follows it. Centrifugo and nchan, which have no addresses, are beside it: until they answer.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench import relays
from bench.child import Broken, Child, Lab
from bench.cost import Reading, cpu_ns
from bench.relays import KEY, inbox
from bench.results import Plan, Section
from bench.yardsticks import centrifugo, nchan
from tests.redis_server import RedisServer

_ADDRESSES = (10, 10_000, 100_000)
_WITHIN_SECONDS = 300.0
_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 5.0
_IDLE_SECONDS = 1.0
_IDLE_SHARE = 0.05  # of a core: so much is looking whether there is something to do


@dataclass(frozen=True, slots=True)
class _Start:
    """What one start took, in s."""

    ready: float
    whole: float  # ready, and the last address is there
    cpu: float
    redis_cpu: float


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "Starting",
        "Seconds from the start of the process until it is ready, and until it is and knows the last address of its"
        " accounts file; CPU of it and of Redis until neither works any more.",
        ("service", "addresses", "start", "s until ready", "s until all is there", "s of CPU", "s of Redis"),
    )
    for addresses in _ADDRESSES:
        # The largest once: a version of relay that reserves one by one takes most of a minute for it.
        repeats = 1 if plan.quick or addresses == _ADDRESSES[-1] else plan.repeats
        pairs = [_first_and_unchanged(addresses) for _ in range(repeats)]
        for place, name in enumerate(("first", "unchanged")):
            _note(section, f"{addresses:,}", name, [pair[place] for pair in pairs])
    _peers(plan, section)
    return [section]


def _first_and_unchanged(addresses: int) -> tuple[_Start, _Start]:
    with Lab() as lab:
        redis, accounts = lab.redis(), relays.write_accounts(lab, addresses)
        first, unchanged = (_start(lab, redis, accounts, inbox(addresses - 1)) for _ in range(2))
        return first, unchanged


def _start(lab: Lab, redis: RedisServer, accounts: Path, last: str) -> _Start:
    """Raises Broken when it is not done in time. The process has ended afterwards."""
    redis_ns, began = cpu_ns(redis.pid), time.monotonic()
    relay = relays.spawn(lab, accounts, {"RELAY_REDIS_URL": redis.url})
    _until(relay.child, lambda: _status(relay.port, "/readyz") == 200)
    ready = time.monotonic() - began
    _until(relay.child, lambda: _status(relay.port, f"/api/addresses/{last}") == 200)
    whole = time.monotonic() - began
    spent_ns = _spent_when_idle_ns(relay.pid, redis.pid)
    relay.child.stop()
    return _Start(ready, whole, spent_ns[0] / 1e9, (spent_ns[1] - redis_ns) / 1e9)


def _until(child: Child, done: Callable[[], bool]) -> None:
    until = time.monotonic() + _WITHIN_SECONDS
    while not done():
        if time.monotonic() > until:
            raise Broken(f"{child.name} is not there after {_WITHIN_SECONDS:.0f} s: {child.last_words()}")
        time.sleep(_POLL_SECONDS)


def _status(port: int, path: str) -> int:
    """Of the answer; 0 = there is none. Each question has a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", path, headers={"Mailsac-Key": KEY})
        return connection.getresponse().status
    connection.close()
    return 0


def _spent_when_idle_ns(*pids: int) -> list[int]:
    """CPU of each when they have not worked for a second; what they do while they are idle is in it."""
    until, spent = time.monotonic() + _WITHIN_SECONDS, [cpu_ns(pid) for pid in pids]
    while time.monotonic() < until:
        time.sleep(_IDLE_SECONDS)
        now = [cpu_ns(pid) for pid in pids]
        if sum(now) - sum(spent) < _IDLE_SECONDS * _IDLE_SHARE * 1e9:
            return spent
        spent = now
    raise Broken("a service that has started does not come to rest")


def _note(section: Section, addresses: str, name: str, starts: list[_Start]) -> None:
    key = f"start.{addresses.replace(',', '')}.{name}"
    columns = {part: Reading.of([getattr(start, part) for start in starts]) for part in _Start.__slots__}
    section.readings |= {f"{key}.{part}": reading for part, reading in columns.items()}
    section.rows.append(("relay", addresses, name, *(reading.text(2) for reading in columns.values())))


def _peers(plan: Plan, section: Section) -> None:
    """Those who have no addresses: until they answer."""
    for title, missing, start in (
        ("Centrifugo", centrifugo.missing(), centrifugo.Centrifugo),
        ("nchan", nchan.missing(), nchan.Nchan),
    ):
        if missing:
            section.notes.append(f"{title}: {missing}")
            continue
        times, spent = [], []
        for _ in range(plan.repeats):
            with Lab() as lab:
                redis = lab.redis()
                began = time.monotonic()
                one = start(lab, redis)
                times.append(time.monotonic() - began)
                spent.append([ns / 1e9 for ns in _spent_when_idle_ns(one.pid, redis.pid)])
        cpu, redis_cpu = (Reading.of([each[place] for each in spent]).text(2) for place in range(2))
        section.rows.append((one.name, "–", "–", Reading.of(times).text(2), "–", cpu, redis_cpu))
