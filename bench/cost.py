"""What a process has used so far, as the kernel counts it; and several measurements as one reading."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CPUCLOCK_SCHED = 2  # linux/posix-timers.h: user and system time as the scheduler counts it


def cpu_ns(pid: int) -> int:
    """CPU time of a process, all its threads, also those that have ended; user and system, in nanoseconds.

    It is clock_getcpuclockid(3), which Python has no name for: /proc/<pid>/stat has the same sum in steps of
    10 ms. What the kernel does for a socket inside of the process's system calls counts (on the loopback that is
    the receiver's half too, for every contestant alike); work of other processes does not.
    """
    return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process. Kernel memory (socket buffers) is not in it."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


class Meter:
    """``with Meter(pid) as meter``; afterwards ``meter.cpu_ns`` and ``meter.wall_ns`` of what was inside."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.cpu_ns = 0
        self.wall_ns = 0

    def __enter__(self) -> Meter:
        self.cpu_ns, self.wall_ns = -cpu_ns(self._pid), -time.monotonic_ns()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_ns += cpu_ns(self._pid)
        self.wall_ns += time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class Reading:
    """Several measurements of one thing: their median, and the lowest and highest as the spread."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Reading:
        """At least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 1) -> str:
        """``5.0 (4.9–5.3)``, the spread only when there is one."""
        median = f"{self.median:,.{digits}f}"
        if self.low == self.high:
            return median
        return f"{median} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"
