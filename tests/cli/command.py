"""The relay command as its users start it: a process of its own, of which a test sees lines and an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

ROOT = Path(__file__).parents[2]
RELAY = (sys.executable, "-m", "relay.cli")
_EVENT_SECONDS = 20.0  # a machine may be busy; a line that comes later than this does not come


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these settings and no others. A warning is an error there, too."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELAY_", "MAILSAC_"))}
    return kept | {"PYTHONWARNINGS": "error", "COLUMNS": "80"} | dict(settings)


def run(*arguments: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    ended = subprocess.run(
        [*RELAY, *arguments],
        check=False,
        input=stdin.encode(),
        capture_output=True,
        cwd=ROOT,
        env=environment(settings),
        timeout=_EVENT_SECONDS,
    )
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    return subprocess.CompletedProcess(ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


class Stream:
    """The lines of stdout or stderr, as they come."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def until(self, wanted: Callable[[str], object] | str, *, times: int = 1) -> str:
        """Waits for the so manieth line that holds a text, or fits. Fails when the stream ends before."""
        fits = wanted if callable(wanted) else lambda line: wanted in line
        deadline, position = time.monotonic() + _EVENT_SECONDS, 0
        with self._changed:
            while True:
                for line in self.lines[position:]:
                    times -= bool(fits(line))
                    if times == 0:
                        return line
                position = len(self.lines)
                left = deadline - time.monotonic()
                assert not self._ended, f"ended without {wanted!r}:\n{self.text}"
                assert left > 0, f"no {wanted!r} in time:\n{self.text}"
                self._changed.wait(left)

    def wait_end(self) -> None:
        """Returns when everything has been read."""
        self._reader.join(_EVENT_SECONDS)

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                with self._changed:
                    self.lines.append(line.decode().rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Running:
    """``with Running("serve", RELAY_PORT="0") as service:``; it is gone afterwards, whatever happens."""

    def __init__(self, *arguments: str, program: str = "", **settings: str) -> None:
        self._process = subprocess.Popen(
            [*((program,) if program else RELAY), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=environment(settings),
            start_new_session=True,  # so that its children can be ended with it
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.out = Stream(self._process.stdout)
        self.err = Stream(self._process.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.out.wait_end()
        self.err.wait_end()

    def event(self, name: str, *, times: int = 1) -> dict[str, Any]:
        """Waits until a log event has come so many times; the last of them."""
        event: dict[str, Any] = json.loads(self.err.until(f'"event":"{name}"', times=times))
        return event

    def ended(self, *, within_seconds: float = _EVENT_SECONDS) -> int:
        """Waits for the end; the exit code. Everything has been read then."""
        code = self._process.wait(within_seconds)
        self.out.wait_end()
        self.err.wait_end()
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM, *, group: bool = False) -> int:
        """Asks it to end, or it and its children; the exit code, or a failure when it takes more than a few seconds."""
        if group:
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)
        return self.ended(within_seconds=5)
