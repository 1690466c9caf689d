"""A process that holds many WebSockets and counts what they receive: ``python -m bench.listeners``.

It is told what to do in JSON lines, by :class:`Listeners` of the process that runs the experiment. One epoll, one
buffer, no object per message. It verifies: each socket got each message, in order, and the right number of them;
an average over sockets of which one missed a message would be a lie.

With ``nap_ms`` it sleeps that long after each round, so that a sender's ``send()`` finds a reader who is not
waiting: with one on this machine each ``send()`` would also pay for waking it, which a reader on another machine
never costs. So it is for all that measure cost; those that measure time do not nap.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from bench.wire import BUFFER_BYTES, BatchStream, Hello, Stream, Tally, accepted, client_frame

_EVENTS = 4096
_RETRY_SECONDS = 0.01
_SOURCES = 16  # loopback addresses to connect from: one has only some 28,000 ports to one port
_IP_BIND_ADDRESS_NO_PORT = 24
_STDIN = 0
_STDOUT = 1


class _Process:
    """Sockets being opened, open sockets, and one command at a time."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._epoll.register(_STDIN, select.EPOLLIN)
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._tally = Tally()
        self._opening: dict[int, tuple[int, socket.socket]] = {}  # fd -> index, socket
        self._greeting: dict[int, BatchStream] = {}  # said hello, not answered yet
        self._open: dict[int, Stream] = {}
        self._to_open: deque[int] = deque()
        self._retry: list[int] = []
        self._retry_at = 0.0
        self._in_flight = 64
        self._port = 0
        self._request = ""
        self._hello = Hello()
        self._extensions = ""
        self._reopen = False
        self._failures: list[str] = []
        self._nap_seconds = 0.0
        self._commands = b""
        self._goal: Callable[[], dict[str, Any] | None] | None = None
        self._goal_until = 0.0
        self._running = True

    def run(self) -> None:
        """Until standard input ends."""
        while self._running:
            self._turn(self._epoll.poll(self._timeout(), _EVENTS))
            self._open_more()
            self._look_at_goal()
            if self._nap_seconds and self._goal:
                time.sleep(self._nap_seconds)

    def _timeout(self) -> float:
        return _RETRY_SECONDS if self._retry else 0.5

    def _turn(self, events: list[tuple[int, int]]) -> None:
        tally = self._tally
        tally.now_ns = time.monotonic_ns()
        for fd, event in events:
            stream = self._open.get(fd)
            if stream:
                try:
                    if not stream.receive(self._buffer, self._view, tally):
                        self._lost(fd, stream, "ended")
                except BlockingIOError:
                    pass
                except OSError as error:
                    self._lost(fd, stream, error.strerror or "")
            elif fd in self._opening:
                self._handshake(fd, event)
            elif fd in self._greeting:
                self._greeted(fd)
            elif fd == _STDIN:
                self._command()

    # Opening

    def _open_more(self) -> None:
        if self._retry and time.monotonic() >= self._retry_at:
            self._to_open.extend(self._retry)
            self._retry.clear()
        while self._to_open and len(self._opening) + len(self._greeting) < self._in_flight:
            self._connect(self._to_open.popleft())

    def _connect(self, index: int) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((f"127.0.0.{2 + index % _SOURCES}", 0))
        failed = sock.connect_ex(("127.0.0.1", self._port))
        if failed not in (0, errno.EINPROGRESS):
            self._not_opened(index, sock, os.strerror(failed))
            return
        self._opening[sock.fileno()] = index, sock
        self._epoll.register(sock, select.EPOLLOUT)

    def _handshake(self, fd: int, event: int) -> None:
        index, sock = self._opening[fd]
        try:
            if event & select.EPOLLOUT:
                sock.send(self._request.replace("{index}", f"{index:05d}").encode())
                self._epoll.modify(fd, select.EPOLLIN)
                return
            answer = sock.recv(BUFFER_BYTES)
        except OSError as error:
            self._not_opened(index, sock, error.strerror or "")
            return
        head, end, rest = answer.partition(b"\r\n\r\n")
        if not end or not accepted(head):
            self._not_opened(index, sock, answer[:200].decode(errors="replace"))
            return
        del self._opening[fd]
        self._extensions = _field(head, "sec-websocket-extensions")
        if self._hello.says:
            self._greeting[fd] = BatchStream(index, sock, self._hello.answer)
            sock.send(client_frame(self._hello.says.replace("{index}", f"{index:05d}")))
            return
        stream = self._open[fd] = Stream(index, sock)
        if rest:
            self._buffer[: len(rest)] = rest
            stream.take(self._buffer, len(rest), self._tally)

    def _greeted(self, fd: int) -> None:
        """Messages may come right behind the answer, or in it: so from here on they are counted."""
        stream = self._greeting[fd]
        try:
            if not stream.receive(self._buffer, self._view, self._tally):
                raise ConnectionError(stream.closed_with or "ended")
        except OSError as error:
            del self._greeting[fd]
            self._not_opened(stream.index, stream.sock, str(error))
            return
        if not stream.awaited:
            self._open[fd] = self._greeting.pop(fd)

    def _not_opened(self, index: int, sock: socket.socket, why: str) -> None:
        self._opening.pop(sock.fileno(), None)
        sock.close()
        self._again(index, f"socket {index} did not open: {why}")

    def _lost(self, fd: int, stream: Stream, why: str) -> None:
        del self._open[fd]
        stream.sock.close()
        self._again(stream.index, f"socket {stream.index} was lost: {stream.closed_with or why}")

    def _again(self, index: int, why: str) -> None:
        if not self._reopen:
            self._failures.append(why)
            return
        if not self._retry:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
        self._retry.append(index)

    # Commands

    def _command(self) -> None:
        received = os.read(_STDIN, 1 << 16)
        if not received:
            self._running = False
        self._commands += received
        while b"\n" in self._commands:
            line, _, self._commands = self._commands.partition(b"\n")
            command = json.loads(line)
            getattr(self, f"do_{command.pop('do')}")(**command)

    def _wait_for(self, seconds: float, goal: Callable[[], dict[str, Any] | None]) -> None:
        self._goal, self._goal_until = goal, time.monotonic() + seconds
        self._look_at_goal()

    def _look_at_goal(self) -> None:
        if not self._goal:
            return
        answer = self._goal()
        if answer is None and self._failures:
            answer = {"error": f"{len(self._failures)} sockets failed, such as: {self._failures[0]}"}
        if answer is None and time.monotonic() > self._goal_until:
            answer = {"error": f"not in time: {len(self._open)} open, {self._tally.frames} frames"}
        if answer is not None:
            self._goal = None
            _reply(answer)

    def do_open(
        self, *, port: int, request: str, says: str, answer: str, first: int, count: int, in_flight: int,
        seconds: float,
    ) -> None:  # fmt: skip
        """Opens sockets ``first`` to ``first + count - 1``; answers when all are open."""
        self._port, self._request, self._hello = port, request, Hello(says, answer)
        self._in_flight, self._nap_seconds = in_flight, 0.0
        self._to_open.extend(range(first, first + count))
        wanted, began_ns = len(self._open) + count, time.monotonic_ns()

        def done() -> dict[str, Any] | None:
            if len(self._open) < wanted:
                return None
            return {"seconds": (time.monotonic_ns() - began_ns) / 1e9, "extensions": self._extensions}

        self._wait_for(seconds, done)

    def do_expect_loss(self) -> None:
        """From now on a socket that is lost, or does not open, is opened again, after 10 ms."""
        self._reopen, self._in_flight = True, 1 << 20
        _reply({})

    def do_close(self) -> None:
        """Closes all sockets, as clients do that are done."""
        for stream in self._open.values():
            stream.sock.close()
        self._open.clear()
        _reply({})

    def do_all_open(self, *, count: int, seconds: float) -> None:
        """Answers when so many are open, with the time (CLOCK_MONOTONIC)."""
        self._wait_for(seconds, lambda: {"at_ns": time.monotonic_ns()} if len(self._open) >= count else None)

    def do_begin(self, *, nap_ms: float, record: bool) -> None:
        """Counts from zero. ``record``: when each message came to which socket, for :meth:`do_arrivals`."""
        self._nap_seconds = nap_ms / 1000
        self._tally.frames = self._tally.payload_bytes = 0
        self._tally.arrivals = [] if record else None
        for stream in self._open.values():
            stream.frames = stream.wrong = stream.last = 0
        _reply({"sockets": len(self._open)})

    def do_wait(self, *, frames: int, seconds: float) -> None:
        """Answers when so many whole frames have come since the beginning."""
        self._wait_for(seconds, lambda: {} if self._tally.frames >= frames else None)

    def do_verify(self, *, each: int, last: int) -> None:
        """Answers how many sockets did not get exactly ``each`` messages in a row, ``last`` the last of them."""
        bad = [s for s in self._open.values() if s.frames != each or s.last != last or s.wrong]
        _reply({"bad": len(bad), "payload_bytes": self._tally.payload_bytes})

    def do_arrivals(self) -> None:
        """Answers the recorded arrivals: socket index, message number, time."""
        _reply({"arrivals": self._tally.arrivals or []})


def _field(head: bytes, name: str) -> str:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name:
            return value.strip()
    return ""


def _reply(answer: dict[str, Any]) -> None:
    left = memoryview(json.dumps(answer).encode() + b"\n")
    while left:
        left = left[os.write(_STDOUT, left) :]


if __name__ == "__main__":
    _Process().run()
