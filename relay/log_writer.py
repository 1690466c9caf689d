"""One writer of log lines for a process: bounded, never raises, never makes its caller wait, counts what it dropped.

Lines are written by a thread of its own. A reader of our pipe that has stalled, a disk that hangs: both stop that
thread, and nobody else. A dead pipe or a full disk costs the lines that could not be written.
"""

from __future__ import annotations

import atexit
import io
import os
import queue
import select
import threading
from collections.abc import Callable
from typing import IO

_MAX_WAITING_BYTES = 4 * 1024 * 1024  # of lines; some 15,000
_WRITE_BYTES = 64 * 1024  # of lines in one write
_RETRY_SECONDS = 1.0  # a file descriptor that somebody else made non-blocking may be full
_LAST_SECONDS = 2.0  # at the end of the process; a stalled reader must not hold it up for longer


class LogWriter:
    """Writes to the file descriptor of ``stream``; to the stream itself where it has none, as in tests."""

    def __init__(self, stream: IO[bytes], *, told: Callable[[int], bytes], forks: bool = False) -> None:
        """``told`` makes the line that says how many were dropped, written when lines can be written again.

        ``forks``: this process makes others of itself, and must have no thread for that; they have one.
        """
        self._stream = stream
        self._told = told
        try:
            self._fd: int | None = stream.fileno()
        except (OSError, ValueError, io.UnsupportedOperation):
            self._fd = None
        self.dropped = 0  # lines, since the process began
        self._untold = 0  # of these, those that the log does not tell of yet
        self._torn = False  # the last line in the file has no end
        self._begin()
        self._direct = forks
        os.register_at_fork(after_in_child=self._begin)
        atexit.register(self.flush)

    def _begin(self) -> None:
        """Also in the child of a fork, which has no thread and must not write its parent's lines again."""
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._lock = threading.RLock()  # a signal handler may log while its own thread holds it
        self._waiting_bytes = 0
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None
        self._direct = False

    def put(self, line: bytes) -> None:
        """Takes a line with its end. Drops it when too much waits."""
        with self._lock:
            if self._waiting_bytes + len(line) > _MAX_WAITING_BYTES:
                self._drop(1)
                return
            self._waiting_bytes += len(line)
            self._idle.clear()
            self._lines.put(line)
            if self._thread is None and self._fd is not None and not self._direct:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
        if self._fd is None or self._direct:
            self._write_next()

    def flush(self, timeout_seconds: float = _LAST_SECONDS) -> None:
        """Waits until everything is written or dropped, or the time is over."""
        if self._thread is not None:
            self._idle.wait(timeout_seconds)

    def _run(self) -> None:
        while True:
            self._write_next()

    def _write_next(self) -> None:
        lines = [self._lines.get()]
        size_bytes = len(lines[0])
        while size_bytes < _WRITE_BYTES and not self._lines.empty():
            lines.append(self._lines.get())
            size_bytes += len(lines[-1])
        untold = self._untold
        news = [self._told(untold)] if untold else []
        try:
            self._write((b"\n" if self._torn else b"") + b"".join([*news, *lines]))
        except (OSError, ValueError):  # ValueError: the stream is closed
            with self._lock:
                self._drop(len(lines))
        else:
            with self._lock:
                self._untold -= untold
        with self._lock:
            self._waiting_bytes -= size_bytes
            if not self._waiting_bytes:
                self._idle.set()

    def _write(self, data: bytes) -> None:
        if self._fd is None:
            self._stream.write(data)
            self._stream.flush()
            return
        rest = memoryview(data)
        try:
            while rest:
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:
                    select.select([], [self._fd], [], _RETRY_SECONDS)
        finally:
            if len(rest) < len(data):  # something was written; else the file ends as it did
                self._torn = bool(rest) and data[len(data) - len(rest) - 1 : len(data) - len(rest)] != b"\n"

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        self._untold += lines
