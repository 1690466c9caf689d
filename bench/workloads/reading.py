"""Reading over REST: how long a list of 20 messages takes, beside an empty list and an empty GET, one after the other.

Time is wall time from the request's first byte to the answer's last, over one connection that stays open. The three
kinds take turns, so that what the machine does meanwhile meets all of them alike. Every answer is looked at. Redis' CPU
is counted from a request's first byte to its answer's last, each time.
"""

from __future__ import annotations

import http.client
import json
import time

from bench.child import Broken, Lab
from bench.cost import Reading, cpu_ns
from bench.mail import MAILS
from bench.relays import KEY, Poster, Relays, inbox
from bench.results import Plan, Section
from bench.workloads.latency import percentile

_LISTED = 20
_ROUNDS = 1_000
_FULL, _EMPTY = inbox(0), inbox(1)
_QUESTIONS = {
    "empty GET": "/livez",
    "list of an empty inbox": f"/api/addresses/{_EMPTY}/messages",
    f"list of {_LISTED} messages": f"/api/addresses/{_FULL}/messages?limit={_LISTED}",
    "list of all inboxes": f"/api/inbox?limit={_LISTED}",
}
_SHARES = (50.0, 95.0, 99.0)


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "Reading over REST",
        f"ms from request to answer, one at a time; inbox with {2 * _LISTED} mails of 3 KB.",
        ("request", "requests", *(f"p{share:g} ms" for share in _SHARES), "µs of Redis", "× empty GET, p95"),
    )
    rounds = _ROUNDS // 4 if plan.quick else _ROUNDS
    with Lab() as lab:
        relays = Relays(lab, addresses=2, doors=1)
        poster, mail = Poster(relays.door_in), MAILS["3 KB"]()
        for number in range(2 * _LISTED):
            poster.post(mail.numbered(number), _FULL)
        runs = [_times_ms(relays, rounds) for _ in range(plan.repeats + 1)][1:]
    for name in _QUESTIONS:
        cells = []
        for share in _SHARES:
            reading = Reading.of([percentile(sorted(times[name]), share) for times, _ in runs])
            section.readings[f"reading.{name}.p{share:g}"] = reading
            cells.append(reading.text(2))
        redis = section.readings[f"reading.{name}.redis"] = Reading.of([us[name] for _, us in runs])
        cells.append("–" if name == "empty GET" else redis.text(0))
        p95 = [section.readings[f"reading.{one}.p95"].median for one in (name, "empty GET")]
        section.rows.append((name, f"{rounds * len(runs):,}", *cells, f"{p95[0] / p95[1]:.1f}"))
    return [section]


def _times_ms(relays: Relays, rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """ms of each request by question, and µs of Redis' CPU of one."""
    connection = http.client.HTTPConnection("127.0.0.1", relays.door_in.port, timeout=30)
    times: dict[str, list[float]] = {name: [] for name in _QUESTIONS}
    redis_ns = dict.fromkeys(_QUESTIONS, 0)
    for _ in range(rounds):
        for name, path in _QUESTIONS.items():
            redis_ns[name] -= cpu_ns(relays.redis.pid)
            began_ns = time.monotonic_ns()
            connection.request("GET", path, headers={"Mailsac-Key": KEY})
            answer = connection.getresponse()
            body = answer.read()
            times[name].append((time.monotonic_ns() - began_ns) / 1e6)
            redis_ns[name] += cpu_ns(relays.redis.pid)
            if answer.status != 200 or not _is_whole(name, body):
                raise Broken(f"{name}: {answer.status} {body[:200]!r}")
    connection.close()
    return times, {name: spent / rounds / 1000 for name, spent in redis_ns.items()}


def _is_whole(name: str, body: bytes) -> bool:
    if name == "empty GET":
        return True
    found = json.loads(body)
    listed = found["messages"] if isinstance(found, dict) else found
    return len(listed) == (0 if "empty" in name else _LISTED)
