"""Runs a function in a process of its own, which may take so much memory and CPU and no more.

For what strangers wrote, when it is large: whatever it does to its process, this one goes on, and its event loop has
the interpreter for itself. The processes are started when they are first needed, and used again; one that ends is
replaced. :mod:`relay.confined_process` is their side.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, ParamSpec, TypeVar, cast

from relay.errors import RelayError, Unavailable
from relay.work_bytes import WORK_FACTOR

AT_ONCE = 2  # processes: each holds some 50 MiB, and large mail is rare
# Far more than any mail of 25 MiB takes, also where CPUs are slow: what takes longer is no mail that anybody wrote.
CPU_SECONDS = 10
# What any work may take beside what its input may; imports, above all.
SPARE_BYTES = 64 * 1024 * 1024
NO_MEMORY = 3  # exit code of a process that had not the memory to say so

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Broken(RelayError):
    """The function took more than it may, or broke its process: with the same input it would again."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a process is sent."""

    function: Callable[..., Any]  # of a module: it travels by its name
    arguments: tuple[Any, ...]
    memory_bytes: int  # beside its arguments
    cpu_seconds: int


@dataclass(frozen=True, slots=True)
class Done:
    """What it sends back."""

    result: Any = None
    error: RelayError | None = None  # that the function raised
    broken: str = ""  # why there is neither


class Confined:
    """The processes of one service. ``close`` has an owner; they also end when this process does."""

    def __init__(self, *, at_once: int = AT_ONCE, cpu_seconds: int = CPU_SECONDS) -> None:
        self._cpu_seconds = cpu_seconds
        self._free = asyncio.Semaphore(at_once)
        self._idle: list[subprocess.Popen[bytes]] = []
        self._busy: set[subprocess.Popen[bytes]] = set()

    async def run(
        self, size_bytes: int, function: Callable[Arguments, Result], *args: Arguments.args, **_: Arguments.kwargs
    ) -> Result:
        """What ``function(*args)`` returns, or raises of RelayError. All of it is pickled.

        ``size_bytes``: of what strangers wrote in ``args``; the memory that it may take is in proportion.
        Raises Broken: it cannot be done; Unavailable: its process was killed, and not by its own fault.
        """
        job = Job(function, args, WORK_FACTOR * size_bytes + SPARE_BYTES, self._cpu_seconds)
        async with self._free:
            done = await asyncio.to_thread(self._run, job)
        if done.broken:
            raise Broken(done.broken)
        if done.error:
            raise done.error
        result: Result = done.result
        return result

    def close(self) -> None:
        """Ends all processes, whatever they do."""
        for process in (*self._idle, *self._busy):
            process.kill()
            if process not in self._busy:  # else the thread that waits for it does the rest
                _bury(process)
        self._idle.clear()

    def _run(self, job: Job) -> Done:
        process = self._idle.pop() if self._idle else _start()
        self._busy.add(process)
        try:
            done = _ask(process, job)
        except BaseException:
            process.kill()
            _bury(process)
            raise
        finally:
            self._busy.discard(process)
        if done is None:
            return _ended(_bury(process))
        self._idle.append(process)
        return done


def _start() -> subprocess.Popen[bytes]:
    # -P: nothing of the directory that we happen to be in is imported.
    command = [sys.executable, "-P", "-m", "relay.confined_process"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  # ours


def _ask(process: subprocess.Popen[bytes], job: Job) -> Done | None:
    """None: it ended instead."""
    jobs, answers = _pipes(process)
    try:
        pickle.dump(job, jobs, pickle.HIGHEST_PROTOCOL)
        jobs.flush()
        done: Done = pickle.load(answers)  # noqa: S301  # by our own process
    except (EOFError, OSError, pickle.UnpicklingError):
        return None
    return done


def _bury(process: subprocess.Popen[bytes]) -> int:
    """Its exit code, negative of a signal. Raises nothing."""
    jobs, answers = _pipes(process)
    with suppress(OSError):  # what was not written
        jobs.close()
    answers.close()
    return process.wait()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    return cast("tuple[IO[bytes], IO[bytes]]", (process.stdin, process.stdout))


def _ended(code: int) -> Done:
    if code == -signal.SIGXCPU:
        return Done(broken="it takes more CPU than a mail may")
    if code == NO_MEMORY:
        return Done(broken="it takes more memory than a mail of its size may")
    if code in (-signal.SIGKILL, -signal.SIGTERM):
        return Done(error=Unavailable("the process that read the mail was killed; try again"))
    return Done(broken=f"the process that read it broke down ({code})")
