"""The other side of :mod:`relay.confined`: ``python -m relay.confined_process`` runs what comes over stdin."""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from relay.confined import NO_MEMORY, Done, Job
from relay.errors import RelayError

_NICENESS = 5  # the service goes first
_M_MMAP_THRESHOLD = -3  # of mallopt(3)
_RETURNED_BYTES = 128 * 1024  # what is larger goes back to the system when it is free


def main() -> None:
    """Until stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they are meant for the service, which ends this process
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nobody prints into them
    os.nice(_NICENESS)
    with suppress(OSError, AttributeError):  # another libc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _RETURNED_BYTES)
    while True:
        try:
            job = pickle.load(sys.stdin.buffer)  # noqa: S301  # by our own service
        except EOFError:
            return
        except MemoryError:
            os._exit(NO_MEMORY)
        _serve(job, answers)


def _serve(job: Job, answers: BinaryIO) -> None:
    _limit(job)
    try:
        done = _do(job)
        del job
        pickle.dump(done, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
    except MemoryError:
        os._exit(NO_MEMORY)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _do(job: Job) -> Done:
    try:
        return Done(job.function(*job.arguments))
    except RelayError as error:
        return Done(error=error)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # with the same mail it would fail again
        traceback.print_exc()  # into the service's stderr
        return Done(broken=f"reading it fails ({type(error).__name__})")


def _limit(job: Job) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_seconds = usage.ru_utime + usage.ru_stime
    _lower(resource.RLIMIT_CPU, int(used_seconds) + 1 + job.cpu_seconds)
    with suppress(OSError):  # no Linux: then CPU alone has a limit
        status = Path("/proc/self/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmData:")]
        _lower(resource.RLIMIT_DATA, int(line.split()[1]) * 1024 + job.memory_bytes)


def _lower(kind: int, wanted: int) -> None:
    """The limit that this process sets itself, within the one that it was given."""
    _, most = resource.getrlimit(kind)
    resource.setrlimit(kind, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


if __name__ == "__main__":
    main()
