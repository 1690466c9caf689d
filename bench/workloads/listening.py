"""Sockets that each listen to an address of their own: what opening one costs, holding one, and a mail to one.

- Handshake: CPU time of the service's process for a fresh connection until it is open, 64 at once, and of its Redis.
  relay: the key looked up in Redis, whose the address is, a Redis subscription confirmed, a log line. Stock: a Redis
  subscription, sent and not waited for; no key. Centrifugo: a token verified, a Redis subscription, and the place of
  the channel's history. nchan: no key, and alone no Redis either. All are up together, and open their sockets in turns.
- Idle memory: resident memory of the process from the 1,000th to the last socket, when it has settled, divided by
  the sockets between. Not in it: the kernel's socket buffers, and what Redis keeps for it (a column of its own).
- A mail to one of N addresses, by relay only, a table of its own: CPU time of the process with the sockets (bell
  heard, delivered to one socket), of the one that took the mail in, and of Redis; 8 posts under way, random addresses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench import contestants
from bench.child import Broken, Lab
from bench.cost import Meter, Reading, resident_bytes
from bench.listening import IN_FLIGHT, Listeners
from bench.mail import plain_mail
from bench.posting import Senders
from bench.relays import LISTEN_TO_OWN, Relays, inbox
from bench.results import Plan, Section
from bench.yardsticks import nchan, stock

_FEW = (10, 100, 1_000)
_SETTLED_SECONDS = 1.0
_SETTLE_AT_MOST_SECONDS = 8.0
_POSTS_AT_ONCE = 8
_KIB = 1024


@dataclass
class Bench:
    """One contestant's process and sockets, and what each step took. ``redis_pid`` 0: it needs none."""

    name: str
    pid: int
    listeners: Listeners
    redis_pid: int = 0
    costs_us: list[float] = field(default_factory=list)
    redis_us: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)  # handshakes a second
    settled_bytes: list[int] = field(default_factory=list)  # of the process and of its Redis, before the steps
    failed: str = ""

    @property
    def pids(self) -> list[int]:
        return [pid for pid in (self.pid, self.redis_pid) if pid]

    def step(self, count: int) -> None:
        """Opens sockets until there are so many."""
        step = count - self.listeners.count
        with Meter(self.pid) as meter, Meter(self.redis_pid or self.pid) as redis:
            seconds = self.listeners.grow(count).seconds
        self.costs_us.append(meter.cpu_ns / step / 1000)
        self.redis_us.append(redis.cpu_ns / step / 1000)
        self.rates.append(step / seconds)


def run(plan: Plan) -> list[Section]:
    """See above."""
    mails = Section(
        "A mail to one of many addresses",
        f"µs of CPU per mail of 0.5 KB, each address with one socket, {_POSTS_AT_ONCE} posts at once: of relay in"
        " the process that has the sockets, and in the one that took the mail in; and of Redis.",
        ("addresses", "µs delivering", "µs taking in", "µs of Redis"),
    )
    section = Section(
        "Sockets with an address of their own",
        f"Handshake: µs of CPU, and how many a second with {IN_FLIGHT} at once (the clients' process may be the"
        " slower one). Idle memory: KiB of resident memory per socket, of the service and beside it of Redis.",
        (
            "contestant", "sockets", "µs per handshake", "µs of Redis", "handshakes/s", "KiB per idle socket",
            "KiB in Redis",
        ),
    )  # fmt: skip
    last = 2_500 if plan.quick else 10_000
    with Lab() as lab:
        relays, senders = Relays(lab, addresses=last), Senders(lab)
        benches = list(_benches(lab, section, relays))
        ours = benches[0].listeners
        for sockets in _FEW:
            ours.grow(sockets)
            _mails(plan, mails, relays, senders, ours)
        _open_rest(plan, section, benches, last)
        _mails(plan, mails, relays, senders, ours)
    return [section, mails]


def _benches(lab: Lab, section: Section, relays: Relays) -> Iterator[Bench]:
    door = relays.door_out
    yield Bench("relay", door.pid, Listeners(lab, door.port, LISTEN_TO_OWN), relays.redis.pid)
    other = stock.Stock(lab, lab.redis())
    yield Bench(other.name, other.pid, Listeners(lab, other.port, stock.LISTEN_TO_OWN), other.redis_pid)
    if not nchan.missing():
        third = nchan.Nchan(lab)
        yield Bench(third.name, third.pid, Listeners(lab, third.port, nchan.LISTEN_TO_OWN))
    for peer in contestants.peers_of(lab, section, keep=1):
        yield Bench(peer.name, peer.pid, peer.listeners(lab, own=True), peer.redis_pid)


def _open_rest(plan: Plan, section: Section, benches: list[Bench], last: int) -> None:
    """Opens sockets to the last in steps, in turns, and notes what each step and what all of them took."""
    first = _FEW[-1]
    for bench in benches:
        bench.listeners.grow(first)
    for bench in benches:
        bench.settled_bytes = [_settled_bytes(pid) for pid in bench.pids]
    step = (last - first) // (plan.repeats + 1)
    for count in range(first + step, last + 1, step):
        for bench in benches:
            _try(section, bench, count)
    for bench in benches:
        if not bench.failed:
            _note(section, bench, first)


def _try(section: Section, bench: Bench, count: int) -> None:
    """A contestant that fails is out, and said to be."""
    try:
        if not bench.failed:
            bench.step(count)
    except Broken as error:
        bench.failed = f"{bench.name}: {error}"
        section.failed.append(bench.failed)


def _note(section: Section, bench: Bench, first: int) -> None:
    sockets = bench.listeners.count
    grown = [_settled_bytes(pid) - before for pid, before in zip(bench.pids, bench.settled_bytes, strict=True)]
    kib = [size / (sockets - first) / _KIB for size in grown]
    cost, redis = Reading.of(bench.costs_us), Reading.of(bench.redis_us)
    memory = Reading.of(kib[:1])
    section.readings |= {
        f"handshake.{bench.name}": cost,
        f"handshake.{bench.name}.redis": redis,
        f"idle.{bench.name}.{sockets}": memory,
    }
    in_redis = (redis.text(0), f"{kib[1]:.1f}") if bench.redis_pid else ("–", "–")
    rate = Reading.of(bench.rates).text(0)
    section.rows.append((bench.name, f"{sockets:,}", cost.text(0), in_redis[0], rate, memory.text(1), in_redis[1]))


def _settled_bytes(pid: int) -> int:
    """Resident memory when it has not changed for a second, or after eight."""
    last, since = resident_bytes(pid), time.monotonic()
    until = since + _SETTLE_AT_MOST_SECONDS
    while time.monotonic() < min(since + _SETTLED_SECONDS, until):
        time.sleep(0.05)
        if (now := resident_bytes(pid)) != last:
            last, since = now, time.monotonic()
    return last


def _mails(plan: Plan, section: Section, relays: Relays, senders: Senders, listeners: Listeners) -> None:
    """Mail to random ones of the open sockets' addresses."""
    count = 1_000 if plan.quick else 2_000
    pids = {"out": relays.door_out.pid, "in": relays.door_in.pid, "redis": relays.redis.pid}
    costs_us: dict[str, list[float]] = {name: [] for name in pids}
    for _ in range(plan.repeats + 1):  # the first warms up
        listeners.begin(record=True)
        meters = {name: Meter(pid) for name, pid in pids.items()}
        with meters["out"], meters["in"], meters["redis"]:
            _post(relays, senders, listeners, count)
        for name, meter in meters.items():
            costs_us[name].append(meter.cpu_ns / count / 1000)
    readings = {name: Reading.of(costs[1:]) for name, costs in costs_us.items()}
    section.readings |= {f"mail.{name}.{listeners.count}": reading for name, reading in readings.items()}
    section.rows.append((f"{listeners.count:,}", *(reading.text() for reading in readings.values())))


def _post(relays: Relays, senders: Senders, listeners: Listeners, count: int) -> None:
    """Raises Broken unless each mail came to the socket of its address, once."""
    first = senders.next_number
    posted = senders.post(
        relays.door_in.door, count=count, connections=_POSTS_AT_ONCE, mail=plain_mail(400),
        to=[inbox(index) for index in range(listeners.count)], want_plan=True,
    )  # fmt: skip
    listeners.wait_for(count)
    came = sorted((number, index) for index, number, _ in listeners.arrivals())
    if came != [(first + order, place) for order, (place, _) in enumerate(posted.plan)]:
        raise Broken("mail came to the wrong sockets, or not exactly once")
