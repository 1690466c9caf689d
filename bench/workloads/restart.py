"""A service that dies and comes back: how long until all sockets are open again.

relay is ended by SIGKILL, as by a crash or a lost node, and started again on the same port at once. Each client
tries again every 10 ms from the moment it notices, all of them at the same time: the worst that clients can do.
Redis stays. Times count from the kill (so a process's start is in them) and from the moment the new one accepts
connections. CPU is that of the new process until all are open, its start included.
"""

from __future__ import annotations

import time

from bench.child import Lab
from bench.cost import Reading, cpu_ns
from bench.listening import Listeners
from bench.relays import LISTEN_TO_OWN, Relays
from bench.results import Plan, Section

_SECONDS = 90.0


def run(plan: Plan) -> list[Section]:
    """See above."""
    sockets = 1_000 if plan.quick else 5_000
    section = Section(
        "Sockets back after a restart",
        "Seconds until every client is open again, each with its own address; all retry every 10 ms.",
        ("sockets", "s from the kill", "s from accepting", "s of CPU of the new process", "s of Redis"),
    )
    with Lab() as lab:
        relays = Relays(lab, addresses=sockets, doors=2)
        listeners = Listeners(lab, relays.door_out.port, LISTEN_TO_OWN)
        listeners.grow(sockets)
        listeners.child.ask("expect_loss")
        times = [_restart(relays, listeners) for _ in range(plan.repeats)]
    from_kill, from_accept, cpu, redis = (Reading.of(column) for column in zip(*times, strict=True))
    section.readings |= {"restart.kill": from_kill, "restart.accept": from_accept}
    section.rows.append((f"{sockets:,}", from_kill.text(2), from_accept.text(2), cpu.text(2), redis.text(2)))
    return [section]


def _restart(relays: Relays, listeners: Listeners) -> tuple[float, float, float, float]:
    """Seconds from the kill, from accepting, of CPU, of Redis' CPU. Raises Broken when they are not back in 90 s."""
    relay = relays.relays.pop()
    killed_ns, redis_ns = time.monotonic_ns(), cpu_ns(relays.redis.pid)
    relay.child.kill()
    relay = relays.start(port=relay.port, until_ready=False)
    accepting_ns = time.monotonic_ns()
    at_ns = listeners.child.ask("all_open", count=listeners.count, seconds=_SECONDS, within_seconds=_SECONDS + 5)[
        "at_ns"
    ]
    redis_ns = cpu_ns(relays.redis.pid) - redis_ns
    return (at_ns - killed_ns) / 1e9, (at_ns - accepting_ns) / 1e9, cpu_ns(relay.pid) / 1e9, redis_ns / 1e9
