"""The processes of one experiment: started, asked in JSON lines, ended by their ids, with all their files."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.redis_server import RedisServer

_STOP_SECONDS = 10.0
_READY_SECONDS = 30.0
_POLL_SECONDS = 0.02
_ROOT = Path(__file__).parent.parent


class Broken(Exception):
    """A part of the experiment failed: what was measured is not to be used. The text says which part."""


class Child:
    """One process. Its standard error is a file; standard input and output carry :meth:`ask`."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self._log = log
        self._answers = b""
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                argv, cwd=_ROOT, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._process.pid

    def tell(self, do: str, **arguments: Any) -> None:
        """Sends one command without waiting for its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Broken(f"{self.name} has ended: {self.last_words()}") from None

    def answer(self, *, within_seconds: float = 60.0) -> dict[str, Any]:
        """The next answer. Raises Broken when there is none in time, or it says ``error``."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + within_seconds
        while b"\n" not in self._answers:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise Broken(f"{self.name} did not answer within {within_seconds:.0f} s")
            received = os.read(self._process.stdout.fileno(), 1 << 20)
            if not received:
                raise Broken(f"{self.name} has ended: {self.last_words()}")
            self._answers += received
        line, _, self._answers = self._answers.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Broken(f"{self.name}: {answer['error']}")
        return answer

    def ask(self, do: str, *, within_seconds: float = 60.0, **arguments: Any) -> dict[str, Any]:
        """:meth:`tell`, then :meth:`answer`."""
        self.tell(do, **arguments)
        return self.answer(within_seconds=within_seconds)

    def ready_on(self, port: int) -> None:
        """Returns when somebody accepts on the port. Raises Broken when the process ends instead."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(_POLL_SECONDS)
        raise Broken(f"{self.name} did not start: {self.last_words()}")

    def kill(self) -> None:
        """Ends it as a crash does."""
        self._process.kill()
        self._close()

    def stop(self) -> None:
        """Ends it in order, and if it does not listen, without."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._close()

    def _close(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe and not pipe.closed:
                pipe.close()

    def last_words(self) -> str:
        """The end of what it wrote to standard error."""
        return self._log.read_text(errors="replace")[-1500:].strip() or "(it said nothing)"


class Lab:
    """``with Lab() as lab``: a temporary folder and the processes started in it; all gone at the end."""

    def __init__(self) -> None:
        self._exit = ExitStack()
        self.folder = Path()
        self._children = 0

    def __enter__(self) -> Self:
        self.folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="relay-bench-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Child:
        """A process that ends with the lab. It inherits our environment, less every RELAY_ setting."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")}
        self._children += 1
        log = self.folder / f"{self._children}-{name}.log"
        child = Child(name, argv, log, {**inherited, **(env or {})})
        self._exit.callback(child.stop)
        return child

    def python(self, module: str, *arguments: str, name: str = "") -> Child:
        """A module of ours as a process."""
        return self.start(name or module.rpartition(".")[2], [sys.executable, "-m", module, *arguments])

    def redis(self) -> RedisServer:
        """A redis-server of this lab's own."""
        return self._exit.enter_context(RedisServer())


def free_port() -> int:
    """A TCP port of the loopback that nobody has just now, below those that the kernel gives to clients.

    One of those could be taken, by any connection, before our process listens on it.
    """
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
