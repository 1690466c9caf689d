"""One reader among 10,000 that reads nothing: what it costs the others, until it is dropped and after.

The others get every message, in order, before the next is sent. The stalled one has a small receive buffer. It is
dropped by the service (4408) when RELAY_SOCKET_BUFFER_BYTES wait for it, or by the kernel (TCP_USER_TIMEOUT, 20 s),
which is sooner where messages are few. Cost is CPU time of the process that has the
sockets, and wall time is from the post until all the others have the message.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from itertools import count

from bench.child import Broken, Lab
from bench.cost import Meter, Reading
from bench.listening import Listeners
from bench.relays import LISTEN_TO_ALL, Relays
from bench.results import Plan, Section
from bench.workloads.fanout import KB, Relay

_FRAME_BYTES = 10 * KB
_MESSAGES = 4  # a burst
_MOST_BURSTS = 200  # the kernel's buffers take some MiB before anything waits in the service
_RECEIVE_BUFFER_BYTES = 64 * KB


def run(plan: Plan) -> list[Section]:
    """See above."""
    sockets = 1_000 if plan.quick else 10_000
    section = Section(
        "One stalled reader",
        f"10 KB messages to {sockets:,} sockets, one after the other, without and with one more that reads nothing.",
        ("", "messages", "µs per delivery", "µs of Redis per message", "ms until all others have a message"),
    )
    with Lab() as lab:
        relays = Relays(lab)
        relay = Relay(relays)
        listeners = Listeners(lab, relay.port, LISTEN_TO_ALL)
        listeners.grow(1)
        relay.learn_overhead(listeners)
        listeners.grow(sockets)
        bursts = _Bursts(relay, listeners, sockets)
        bursts.run(1)  # warms up
        section.rows.append(bursts.row("all read", plan.repeats + 1))
        with socket.socket() as stalled:
            _stall(stalled, relay.port)
            section.rows.append(
                bursts.row("one reads nothing", _MOST_BURSTS, until=lambda: _open(relay.port) <= sockets)
            )
            section.notes.append(f"dropped by the {'service: 4408' if _told_4408(relay.port) else 'kernel'}")
        section.rows.append(bursts.row("it was dropped", plan.repeats + 1))
        if _open(relay.port) > sockets:
            section.failed.append("the stalled reader was not dropped")
    return [section]


class _Bursts:
    """Messages to all, measured burst by burst."""

    def __init__(self, relay: Relay, listeners: Listeners, sockets: int) -> None:
        self._relay = relay
        self._listeners = listeners
        self._sockets = sockets
        self._numbers = count(2)

    def run(self, most: int, until: Callable[[], bool] = lambda: False) -> list[tuple[Meter, Meter]]:
        """Of each burst the service's and Redis'. Raises Broken when one of the others missed a message."""
        meters: list[tuple[Meter, Meter]] = []
        while len(meters) < most and not until():
            last = 0
            self._listeners.begin()
            with Meter(self._relay.pid) as meter, Meter(self._relay.redis_pid) as redis:
                for _ in range(_MESSAGES):
                    last = next(self._numbers)
                    self._relay.publish(_FRAME_BYTES, last)
                    self._listeners.wait_for_each()
            self._listeners.verify(each=_MESSAGES, last=last)
            meters.append((meter, redis))
        return meters

    def row(self, name: str, most: int, until: Callable[[], bool] = lambda: False) -> tuple[str, ...]:
        meters = self.run(most, until)
        cpu = Reading.of([meter.cpu_ns / _MESSAGES / self._sockets / 1_000 for meter, _ in meters])
        redis = Reading.of([meter.cpu_ns / _MESSAGES / 1_000 for _, meter in meters])
        wall = Reading.of([meter.wall_ns / _MESSAGES / 1_000_000 for meter, _ in meters])
        return name, f"{len(meters) * _MESSAGES}", cpu.text(2), redis.text(0), wall.text(1)


def _stall(stalled: socket.socket, port: int) -> None:
    """Opens the socket like any other, and reads no further than the answer to its handshake."""
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    stalled.connect(("127.0.0.1", port))
    stalled.sendall(LISTEN_TO_ALL.encode())
    if not stalled.recv(12).startswith(b"HTTP/1.1 101"):
        raise Broken("the reader that was to stall was not let in")


def _open(port: int) -> int:
    """Sockets that the service says are open."""
    lines = _metrics(port).splitlines()
    return int(float(next(line for line in lines if line.startswith("relay_sockets ")).split()[1]))


def _told_4408(port: int) -> bool:
    return 'relay_socket_closes_total{code="4408"}' in _metrics(port)


def _metrics(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text
