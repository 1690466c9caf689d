"""From the moment a POST is due to the moment its frame is read, at 100 to 2,000 mails a second.

Open loop: the schedule is made beforehand and a mail's time counts from its place in it, so that a service which
stalls is charged for every mail that had to wait meanwhile (no coordinated omission). One process of the service, its
Redis, the sender and the listener share the machine's cores, so the load processes' own work and wake-ups are in every
number. Mail of 3 KB to random ones of 100 addresses, a socket each. Every mail must arrive, once, at its socket. The
others get the finished JSON, in turns with relay.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import contestants
from bench.child import Broken, Lab
from bench.contestants import Contestant, Cost
from bench.cost import Reading
from bench.listening import Listeners
from bench.mail import MAILS, Mail
from bench.posting import Senders
from bench.results import Plan, Section

RATES = (100, 500, 1_000, 2_000)  # mails a second
SHARES = (50.0, 99.0, 99.9)
_MAIL = "3 KB"
_SECONDS = 5.0
_QUICK_SECONDS = 3.0
_WARM_UP_SECONDS = 2.0
_ADDRESSES = 100
_KEPT = 50
_SLEEP_NS = 2_000_000
_CONNECTIONS = 64


@dataclass
class _Bench:
    """One contestant with its sockets, and what was measured of it at one rate."""

    contestant: Contestant
    listeners: Listeners
    senders: Senders
    mail: Mail
    runs_ms: list[list[float]] = field(default_factory=list)  # of each repeat, sorted
    late_ms: list[float] = field(default_factory=list)
    redis_us: list[float] = field(default_factory=list)
    failed: str = ""

    def run(self, rate: int, seconds: float) -> None:
        """One repeat. Raises Broken when a mail did not come, once, to its socket."""
        count, first = round(rate * seconds), self.senders.next_number
        self.listeners.begin(record=True, nap_ms=0)
        with Cost(self.contestant) as cost:
            posted = self.senders.post(
                self.contestant.door, mail=self.mail, to=self.contestant.recipients(_ADDRESSES), count=count,
                connections=_CONNECTIONS, rate=rate, want_plan=True,
            )  # fmt: skip
            self.listeners.wait_for(count)
        came = {number: (index, at_ns) for index, number, at_ns in self.listeners.arrivals()}
        times = []
        for number, (place, due_ns) in enumerate(posted.plan, start=first):
            index, at_ns = came.get(number, (-1, 0))
            if index != place:
                raise Broken(f"mail {number} did not come to its socket")
            times.append((at_ns - due_ns) / 1e6)
        self.runs_ms.append(sorted(times))
        self.late_ms.append(posted.late_ns / 1e6)
        self.redis_us.append(cost.redis_ns / count / 1000)


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "From POST to frame",
        "ms from a mail's place in the schedule to its frame read by the client. Percentiles are of all repeats"
        " together; in brackets those of single repeats. 'Posted late': how late a post left, waiting"
        f" for one of {_CONNECTIONS} connections included, 99th percentile; it is part of the others."
        " The first row is the machine: how late a process wakes that only sleeps, before anything of ours runs.",
        (
            "mails/s", "contestant", "mails", *(f"p{share:g} ms" for share in SHARES), "highest ms",
            "posted late ms", "µs of Redis per mail",
        ),
    )  # fmt: skip
    _machine_alone(section, _QUICK_SECONDS if plan.quick else _SECONDS)
    mail = MAILS[_MAIL]()
    json = contestants.json_of({_MAIL: mail})[_MAIL]
    with Lab() as lab:
        senders = Senders(lab)
        benches = [
            _Bench(one, one.listeners(lab, own=True), senders, one.body(mail, json))
            for one in contestants.all_of(lab, section, keep=_KEPT, addresses=_ADDRESSES)
        ]
        for bench in benches:
            bench.listeners.grow(_ADDRESSES)
        for rate in RATES[: 2 if plan.quick else len(RATES)]:
            _measure(plan, section, [bench for bench in benches if not bench.failed], rate)
    return [section]


def _machine_alone(section: Section, seconds: float) -> None:
    """The floor of every percentile: how late a process wakes that only sleeps, nothing else of ours running."""
    late_ms: list[float] = []
    due_ns, until_ns = time.monotonic_ns(), time.monotonic_ns() + round(seconds * 1e9)
    while due_ns < until_ns:
        due_ns += _SLEEP_NS
        time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        late_ms.append((time.monotonic_ns() - due_ns) / 1e6)
    late_ms.sort()
    cells = [f"{percentile(late_ms, share):.2f}" for share in SHARES]
    section.rows.append(
        ("–", "a sleep, nothing else", f"{len(late_ms):,}", *cells, f"{late_ms[-1]:.1f}", "–", "–")
    )


def _measure(plan: Plan, section: Section, benches: list[_Bench], rate: int) -> None:
    for bench in benches:
        bench.runs_ms, bench.late_ms, bench.redis_us = [], [], []
    for repeat in range(plan.repeats + 1):  # the first warms up
        seconds = _QUICK_SECONDS if plan.quick else _SECONDS
        for bench in benches:
            if not bench.failed:
                _try(section, bench, rate, seconds if repeat else _WARM_UP_SECONDS)
    for bench in benches:
        if not bench.failed:
            section.rows.append(_row(section, bench, rate))


def _try(section: Section, bench: _Bench, rate: int, seconds: float) -> None:
    """Who cannot keep up with a rate is out, and said to be."""
    try:
        bench.run(rate, seconds)
    except Broken as error:
        bench.failed = f"{bench.contestant.name}, {rate:,} mails/s: {error}"
        section.failed.append(bench.failed)


def _row(section: Section, bench: _Bench, rate: int) -> tuple[str, ...]:
    name, runs = bench.contestant.name, bench.runs_ms[1:]
    together = sorted(time_ms for times_ms in runs for time_ms in times_ms)
    prefix = f"latency.{rate}" if name == contestants.RELAY else f"latency.{name}.{rate}"
    cells = []
    for share in SHARES:
        single = [percentile(times_ms, share) for times_ms in runs]
        reading = Reading(percentile(together, share), min(single), max(single))
        section.readings[f"{prefix}.p{share:g}"] = reading
        cells.append(reading.text(2))
    redis = Reading.of(bench.redis_us[1:]).text(0)
    late = f"{max(bench.late_ms[1:]):.2f}"
    return (f"{rate:,}", name, f"{len(together):,}", *cells, f"{together[-1]:.1f}", late, redis)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that is not below ``share`` per cent of them ("nearest rank")."""
    rank = -(-len(ordered) * share // 100)
    return ordered[max(0, int(rank) - 1)]
