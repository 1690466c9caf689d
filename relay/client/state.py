"""Where a listener stood, in a file: it survives the program.

A JSON object, ``{"version":1,"since":<RFC 3339>,"cursors":{<inbox>:<_id>}}``. It is replaced as a whole, so whoever
reads it, or a program that is started after a crash, finds the old one or the new one. A lock beside it keeps a second
listener away: the lock cannot be on the file itself, which is another one after each write.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from relay.client.cursors import BadCursors, Cursors
from relay.client.errors import BadState

_MAX_BYTES = 64 * 1024 * 1024
_PAUSE_SECONDS = 0.2  # between two writes


class StateFile:
    """Locked from the constructor on until :meth:`close`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises BadState: it cannot be written here, or another listener has it."""
        self._path = Path(path).expanduser().resolve()  # a link stays a link
        self._writing = threading.Lock()
        self._lock = -1
        try:
            self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise self._bad("another listener is using it; give each listener a state file of its own") from None
        except OSError as error:
            self.close()
            raise self._bad(f"it cannot be used: {error.strerror}") from error

    def close(self) -> None:
        """Lets others have it, after a write that a thread may be at."""
        with self._writing:
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def read(self) -> Any:
        """What was written last; None when there is no file. Raises BadState."""
        try:
            with self._path.open("rb") as file:
                return orjson.loads(file.read(_MAX_BYTES))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._bad(f"it cannot be read: {error.strerror}") from error
        except orjson.JSONDecodeError as error:
            raise self._bad("it is no JSON. Mend it, or remove it to begin anew") from error

    def write(self, value: Any) -> None:
        """Replaces what was written; on the disk when it returns. Raises BadState."""
        fresh = f"{self._path}.new"
        with self._writing:
            try:
                file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                with open(file, "wb") as writing:
                    writing.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
                    writing.flush()
                    os.fsync(file)
                os.replace(fresh, self._path)
            except OSError as error:
                raise self._bad(f"it cannot be written: {error.strerror}") from error

    def cursors(self, since: str, listens: Callable[[str], bool]) -> Cursors:
        """Those that the file holds; when there is none, those that ``since`` names. Raises BadState."""
        kept = self.read()
        try:
            return Cursors(since) if kept is None else Cursors.restore(kept, listens=listens)
        except BadCursors as error:
            raise self._bad(f"{error}. Mend it, or remove it to begin anew") from error

    def _bad(self, why: str) -> BadState:
        return BadState(f"state file {self._path}: {why}")


class Keeper:
    """Writes cursors into a file some time after they have changed, for many messages at once."""

    def __init__(self, file: StateFile | None, cursors: Cursors) -> None:
        """Without a file nothing is kept."""
        self._file = file
        self._cursors = cursors
        self._due: float | None = None  # monotonic time of the next write
        self._written = 0.0

    def changed(self) -> None:
        """The cursors have."""
        if self._file and self._due is None:
            self._due = self._written + _PAUSE_SECONDS

    @property
    def due_seconds(self) -> float | None:
        """Until :meth:`write` shall be called; None when there is nothing to write."""
        return None if self._due is None else max(self._due - time.monotonic(), 0.0)

    async def write(self) -> None:
        """Writes in a thread: a disk may take its time. Raises BadState."""
        if (file := self._file) and (value := self._take()):
            await asyncio.to_thread(file.write, value)

    def write_now(self) -> None:
        """Writes what is not written yet. Raises BadState."""
        if (file := self._file) and (value := self._take()):
            file.write(value)

    def _take(self) -> Mapping[str, Any] | None:
        """What is to be written; None when nothing is."""
        if self._due is None:
            return None
        self._due, self._written = None, time.monotonic()
        return self._cursors.dump()
