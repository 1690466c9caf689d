"""A process that posts over HTTP: ``python -m bench.senders``; told in JSON lines, by :meth:`_Process.do_post`.

Closed loop (``rate`` 0): so many connections, each posts again as soon as it has its answer. Open loop: each post
has its time in a schedule made beforehand, and its latency counts from there, whenever it could really be sent: a
slow service does not slow down the clock that it is measured with ("coordinated omission"). How late the posts
left, because of this process or because no connection was free, is reported beside it. Every answer is looked at;
one that is not what was asked for is counted.
"""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.mail import Mail
from bench.posting import Door

_LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Job:
    """What to post: ``count`` requests, numbered from ``first``, to one of the recipients each."""

    door: Door
    mail: Mail  # without bytes: an empty body
    to: list[str]
    first: int
    count: int
    interval_ns: int  # between two posts of the schedule; 0 = as soon as a connection is free

    def request(self, number: int, to: str) -> bytes:
        mail = self.mail.numbered(number)
        before, after = self.door.before.replace("{to}", to).encode(), self.door.after.encode()
        size = len(before) + len(mail) + len(after)
        head = f"{self.door.head.replace('{to}', to)}Content-Length: {size}\r\n\r\n".encode()
        return b"".join((head, before, mail, after))


class _Connection:
    """One connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answer = b""
        self.unsent = memoryview(b"")

    def fileno(self) -> int:
        return self.sock.fileno()

    def is_stale(self) -> bool:
        """Whether the service has closed it: a server does, after some seconds without a request."""
        try:
            self.sock.recv(1)
        except BlockingIOError:
            return False
        self.sock.close()
        return True

    def send(self, request: bytes) -> None:
        """Begins to send; :meth:`send_more` while ``unsent`` is left."""
        self.unsent = memoryview(request)
        self.send_more()

    def send_more(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.unsent = self.unsent[self.sock.send(self.unsent) :]

    def receive(self) -> tuple[int, bytes] | None:
        """Status and body when the whole answer is there. Raises ConnectionError."""
        received = self.sock.recv(1 << 16)
        if not received:
            raise ConnectionError("the service closed a connection")
        self._answer += received
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return None
        self._answer = b""
        return int(head[9:12]), body


@dataclass(slots=True)
class _Run:
    """One job under way, and what became of it."""

    job: _Job
    connections: list[_Connection]  # all that there are; none: every post makes its own
    most: int  # posts under way
    sent: int = 0
    answered: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    unexpected: str = ""
    plan: list[tuple[int, int]] = field(default_factory=list)  # recipient's place in job.to, scheduled time
    late_ns: list[int] = field(default_factory=list)
    waits_ns: list[int] = field(default_factory=list)  # scheduled time to answer

    def run(self) -> None:
        """Raises ConnectionError, TimeoutError."""
        job, idle, busy = self.job, deque(self.connections), dict[_Connection, int]()
        dice, began_ns = random.Random(job.first), time.monotonic_ns()
        self.plan = [(dice.randrange(len(job.to)), began_ns + i * job.interval_ns) for i in range(job.count)]
        until = time.monotonic() + _LIMIT_SECONDS
        while self.answered < job.count:
            while self._may_send(len(busy)):
                connection = idle.popleft() if self.connections else _Connection(job.door.port)
                busy[connection] = self.sent
                self._send(connection)
            for connection in self._ready(busy, waits_for_time=len(busy) < self.most):
                if answer := connection.receive():
                    self._note(busy.pop(connection), *answer)
                    if self.connections:
                        idle.append(connection)
                    else:
                        connection.sock.close()
            if time.monotonic() > until:
                raise TimeoutError(f"{job.count - self.answered} of {job.count} posts are not answered")

    def _may_send(self, busy: int) -> bool:
        """Whether one more may be under way, and its time has come."""
        return busy < self.most and self.sent < self.job.count and self.plan[self.sent][1] <= time.monotonic_ns()

    def _send(self, connection: _Connection) -> None:
        recipient, due_ns = self.plan[self.sent]
        request = self.job.request(self.job.first + self.sent, self.job.to[recipient])
        self.late_ns.append(time.monotonic_ns() - due_ns)
        connection.send(request)
        self.sent += 1

    def _ready(self, busy: dict[_Connection, int], *, waits_for_time: bool) -> list[_Connection]:
        """Those with something to read. Waits no longer than to the next post's time; select counts in us."""
        timeout = 1.0
        if waits_for_time and self.sent < self.job.count:
            timeout = max(0.0, (self.plan[self.sent][1] - time.monotonic_ns()) / 1e9)
        readers = list(busy)
        writers = [connection for connection in readers if connection.unsent]
        readable, writable, _ = select.select(readers, writers, [], timeout)
        for connection in writable:
            connection.send_more()
        return readable

    def _note(self, index: int, status: int, body: bytes) -> None:
        self.answered += 1
        self.waits_ns.append(time.monotonic_ns() - self.plan[index][1])
        good = status // 100 == 2 and self.job.door.expect.encode() in body
        self.statuses[status if good else -status] += 1
        if not good and not self.unexpected:
            self.unexpected = f"{status} {body[:200].decode(errors='replace')}"


class _Process:
    def __init__(self) -> None:
        self._connections: dict[int, list[_Connection]] = {}  # by port

    def do_post(
        self, *, door: dict[str, Any], mail: str, to: list[str], first: int, count: int, connections: int,
        rate: float, each_its_own: bool, want_plan: bool,
    ) -> dict[str, Any]:  # fmt: skip
        """Posts the mail in that file; answers when all posts are answered."""
        job = _Job(Door(**door), _mail_of(mail), to or [""], first, count, round(1e9 / rate) if rate else 0)
        kept = [] if each_its_own else self._connected(job.door.port, connections)
        run = _Run(job, kept, connections)
        began_ns = time.monotonic_ns()
        run.run()
        return {
            "seconds": (time.monotonic_ns() - began_ns) / 1e9,
            "bad": sum(number for status, number in run.statuses.items() if status < 0),
            "unexpected": run.unexpected,
            "late_ns": sorted(run.late_ns)[int(len(run.late_ns) * 0.99)],
            "longest_ns": max(run.waits_ns),
            "plan": run.plan if want_plan else [],
        }

    def _connected(self, port: int, count: int) -> list[_Connection]:
        known = [connection for connection in self._connections.get(port, ()) if not connection.is_stale()]
        known.extend(_Connection(port) for _ in range(count - len(known)))
        self._connections[port] = known
        return known[:count]

    def run(self) -> None:
        """Until standard input ends."""
        for line in sys.stdin.buffer:
            command = json.loads(line)
            try:
                answer = getattr(self, f"do_{command.pop('do')}")(**command)
            except (OSError, TimeoutError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            _reply(answer)


@cache
def _mail_of(file: str) -> Mail:
    return Mail(Path(file).read_bytes())


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _reply(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _Process().run()
