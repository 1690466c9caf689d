"""From the moment a POST is due to the moment its frame is read, at 100, 500 and 1,000 mails a second.

Open loop: the schedule is made beforehand and a mail's time counts from its place in it, so that a service which
stalls is charged for every mail that had to wait meanwhile (no coordinated omission). One relay process, Redis,
the sender and the listener share the machine's cores, so the load processes' own work and wake-ups are in every
number. Mail of 3 KB to random ones of 100 addresses, a socket each. Every mail must arrive, once, at its socket.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.child import Broken, Lab
from bench.cost import Reading
from bench.listening import Listeners
from bench.posting import Senders
from bench.relays import ACCEPTED, HEAD, LISTEN_TO_OWN, Relays, inbox
from bench.results import Plan, Section

RATES = (100, 500, 1_000)  # mails a second
_SECONDS = 5.0
_QUICK_SECONDS = 3.0
_WARM_UP_SECONDS = 2.0
_ADDRESSES = 100
_SLEEP_NS = 2_000_000
_CONNECTIONS = 64
SHARES = (50.0, 99.0, 99.9)


@dataclass
class Bench:
    """The parts of the experiment."""

    relays: Relays
    listeners: Listeners
    senders: Senders

    def times_ms(self, rate: int, seconds: float) -> tuple[list[float], float]:
        """From due to read, of each mail; and how late the posts left, p99. Raises Broken."""
        count, first = round(rate * seconds), self.senders.next_number
        self.listeners.begin(record=True, nap_ms=0)
        posted = self.senders.post(
            self.relays.door_in.port, HEAD, mail="3 KB", to=[inbox(index) for index in range(_ADDRESSES)],
            count=count, connections=_CONNECTIONS, rate=rate, expect=ACCEPTED, want_plan=True,
        )  # fmt: skip
        self.listeners.wait_for(count)
        came = {number: (index, at_ns) for index, number, at_ns in self.listeners.arrivals()}
        times = []
        for number, (place, due_ns) in enumerate(posted.plan, start=first):
            index, at_ns = came.get(number, (-1, 0))
            if index != place:
                raise Broken(f"mail {number} did not come to its socket")
            times.append((at_ns - due_ns) / 1e6)
        return times, posted.late_ns / 1e6


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "From POST to frame",
        "ms from a mail's place in the schedule to its frame read by the client. Percentiles are of all repeats"
        " together; in brackets those of single repeats. 'Posted late': how late a post left, waiting"
        f" for one of {_CONNECTIONS} connections included, 99th percentile; it is part of the others."
        " The first row is the machine: how late a process wakes that only sleeps, before anything of ours runs.",
        ("mails/s", "mails", *(f"p{share:g} ms" for share in SHARES), "highest ms", "posted late ms"),
    )
    _machine_alone(section, _QUICK_SECONDS if plan.quick else _SECONDS)
    with Lab() as lab:
        relays = Relays(lab, addresses=_ADDRESSES, doors=1)
        bench = Bench(relays, Listeners(lab, relays.door_out.port, LISTEN_TO_OWN), Senders(lab))
        bench.listeners.grow(_ADDRESSES)
        for rate in RATES[: 2 if plan.quick else 3]:
            _measure(plan, section, bench, rate)
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
    section.rows.append(("a sleep, nothing else", f"{len(late_ms):,}", *cells, f"{late_ms[-1]:.1f}", "–"))


def _measure(plan: Plan, section: Section, bench: Bench, rate: int) -> None:
    bench.times_ms(rate, _WARM_UP_SECONDS)
    runs, late = [], []
    for _ in range(plan.repeats):
        times_ms, late_ms = bench.times_ms(rate, _QUICK_SECONDS if plan.quick else _SECONDS)
        runs.append(sorted(times_ms))
        late.append(late_ms)
    together = sorted(time_ms for times_ms in runs for time_ms in times_ms)
    cells = []
    for share in SHARES:
        single = [percentile(times_ms, share) for times_ms in runs]
        reading = Reading(percentile(together, share), min(single), max(single))
        section.readings[f"latency.{rate}.p{share:g}"] = reading
        cells.append(reading.text(2))
    section.rows.append((f"{rate:,}", f"{len(together):,}", *cells, f"{together[-1]:.1f}", f"{max(late):.2f}"))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that is not below ``share`` per cent of them ("nearest rank")."""
    rank = -(-len(ordered) * share // 100)
    return ordered[max(0, int(rank) - 1)]
