"""Sockets that each listen to an address of their own: what opening one costs, holding one, and a mail to one.

- Handshake: CPU time of the service's process for a fresh connection until it is open, 64 at once. relay: the key
  looked up in Redis, whose the address is, a Redis subscription confirmed, a log line. Stock: a Redis
  subscription, sent and not waited for; no key. nchan: neither key nor Redis.
- Idle memory: resident memory of the process from the 1,000th to the last socket, when it has settled, divided by
  the sockets between. Not in it: the kernel's socket buffers, and what Redis keeps for it (a column of its own).
- A mail to one of N addresses, by relay only, a table of its own: CPU time of the process with the sockets (bell
  heard, delivered to one socket), and of the one that took the mail in; 8 posts under way, random addresses.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.child import Broken, Lab
from bench.cost import Meter, Reading, resident_bytes
from bench.listening import IN_FLIGHT, Listeners
from bench.mail import plain_mail
from bench.posting import Senders
from bench.relays import ACCEPTED, HEAD, LISTEN_TO_OWN, Relays, inbox
from bench.results import Plan, Section
from bench.yardsticks import nchan, stock

_FEW = (10, 100, 1_000)
_SETTLED_SECONDS = 1.0
_SETTLE_AT_MOST_SECONDS = 8.0
_POSTS_AT_ONCE = 8
_KIB = 1024


@dataclass
class Bench:
    """One contestant's process and sockets. ``redis_pid`` 0: it needs none."""

    name: str
    pid: int
    listeners: Listeners
    redis_pid: int = 0


def run(plan: Plan) -> list[Section]:
    """See above."""
    mails = Section(
        "A mail to one of many addresses",
        f"µs of relay's CPU per mail of 0.5 KB, each address with one socket, {_POSTS_AT_ONCE} posts at once: in"
        " the process that has the sockets, and in the one that took the mail in.",
        ("addresses", "µs delivering", "µs taking in"),
    )
    section = Section(
        "Sockets with an address of their own",
        f"Handshake: µs of CPU, and how many a second with {IN_FLIGHT} at once (the clients' process may be the"
        " slower one). Idle memory: KiB of resident memory per socket, of the service and beside it of Redis.",
        ("contestant", "sockets", "µs per handshake", "handshakes/s", "KiB per idle socket", "KiB in Redis"),
    )
    last = 2_500 if plan.quick else 10_000
    with Lab() as lab:
        _relay(plan, section, mails, lab, last)
    with Lab() as lab:
        redis = lab.redis()
        other = stock.Stock(lab, redis.url)
        bench = Bench(other.name, other.pid, Listeners(lab, other.port, stock.LISTEN_TO_OWN), redis.pid)
        _open_all(plan, section, bench, last)
    if why := nchan.missing():
        section.notes.append(f"nchan: {why}")
        return [section, mails]
    with Lab() as lab:
        third = nchan.Nchan(lab)
        bench = Bench(third.name, third.pid, Listeners(lab, third.port, nchan.LISTEN_TO_OWN))
        _open_all(plan, section, bench, last)
    return [section, mails]


def _relay(plan: Plan, section: Section, mails: Section, lab: Lab, last: int) -> None:
    relays = Relays(lab, addresses=last)
    senders = Senders(lab)
    bench = Bench(
        "relay", relays.door_out.pid, Listeners(lab, relays.door_out.port, LISTEN_TO_OWN), relays.redis.pid
    )
    for sockets in _FEW:
        bench.listeners.grow(sockets)
        _mails(plan, mails, relays, senders, bench.listeners)
    _open_rest(plan, section, bench, last)
    _mails(plan, mails, relays, senders, bench.listeners)


def _open_all(plan: Plan, section: Section, bench: Bench, last: int) -> None:
    bench.listeners.grow(_FEW[-1])
    _open_rest(plan, section, bench, last)


def _open_rest(plan: Plan, section: Section, bench: Bench, last: int) -> None:
    """Opens sockets to the last in steps, and notes what each step and what all of them took."""
    pids = [pid for pid in (bench.pid, bench.redis_pid) if pid]
    before, sockets = [_settled_bytes(pid) for pid in pids], bench.listeners.count
    costs_us: list[float] = []
    rates: list[float] = []
    step = (last - sockets) // (plan.repeats + 1)
    for count in range(sockets + step, last + 1, step):
        with Meter(bench.pid) as meter:
            seconds = bench.listeners.grow(count).seconds
        costs_us.append(meter.cpu_ns / step / 1000)
        rates.append(step / seconds)
    grown = [_settled_bytes(pid) - bytes_before for pid, bytes_before in zip(pids, before, strict=True)]
    kib = [size / (bench.listeners.count - sockets) / _KIB for size in grown]
    cost, rate, memory = Reading.of(costs_us), Reading.of(rates), Reading.of(kib[:1])
    section.readings |= {f"handshake.{bench.name}": cost, f"idle.{bench.name}.{bench.listeners.count}": memory}
    in_redis = f"{kib[1]:.1f}" if bench.redis_pid else "–"
    section.rows.append(
        (bench.name, f"{bench.listeners.count:,}", cost.text(0), rate.text(0), memory.text(1), in_redis)
    )


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
    out_us: list[float] = []
    in_us: list[float] = []
    for _ in range(plan.repeats + 1):  # the first warms up
        listeners.begin(record=True)
        with Meter(relays.door_out.pid) as door_out, Meter(relays.door_in.pid) as door_in:
            _post(relays, senders, listeners, count)
        out_us.append(door_out.cpu_ns / count / 1000)
        in_us.append(door_in.cpu_ns / count / 1000)
    delivering, taking_in = Reading.of(out_us[1:]), Reading.of(in_us[1:])
    section.readings |= {f"mail.out.{listeners.count}": delivering, f"mail.in.{listeners.count}": taking_in}
    section.rows.append((f"{listeners.count:,}", delivering.text(), taking_in.text()))


def _post(relays: Relays, senders: Senders, listeners: Listeners, count: int) -> None:
    """Raises Broken unless each mail came to the socket of its address, once."""
    first = senders.next_number
    posted = senders.post(
        relays.door_in.port, HEAD, count=count, connections=_POSTS_AT_ONCE, body=plain_mail(400).template,
        to=[inbox(index) for index in range(listeners.count)], expect=ACCEPTED, want_plan=True,
    )  # fmt: skip
    listeners.wait_for(count)
    came = sorted((number, index) for index, number, _ in listeners.arrivals())
    if came != [(first + order, place) for order, (place, _) in enumerate(posted.plan)]:
        raise Broken("mail came to the wrong sockets, or not exactly once")
