"""Several processes on one listening socket: starts them, passes on signals, replaces one that dies.

Each worker is a whole service; only Redis joins them. The kernel spreads connections over them.

A signal may reach a worker twice, once from its sender and once from us: Ctrl-C in a terminal goes to the whole process
group, systemd's SIGTERM to the whole control group. So to a worker however many are one, and "at once" is a signal of
its own, which we send when we are told twice.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import structlog

from relay import logs
from relay.errors import ConfigError
from relay.service.serve import (
    ENDING_SIGNALS,
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_STOPPED,
    HURRY_SIGNAL,
    RELOAD_SIGNAL,
    run_process,
)
from relay.settings import Settings

log = structlog.get_logger()

# A worker that ends sooner than this would end again at once: so the whole ends, and who supervises us backs off.
_SHORTEST_LIFE_SECONDS = 5.0


class Workers:
    """The parent of ``settings.workers`` processes. It serves nothing itself."""

    def __init__(
        self,
        settings: Settings,
        public: socket.socket,
        internal: socket.socket | None,
        again: Callable[[], Settings] | None = None,
    ) -> None:
        self._settings = settings
        self._again = again
        self._sockets = (public, internal)
        self._started: dict[int, float] = {}  # pid -> time.monotonic()
        self._stopping = False
        self._exit_code = EXIT_STOPPED
        self._parent_fd, self._our_end = (
            os.pipe()
        )  # nothing is written: when we end, however, theirs becomes readable

    def run(self) -> int:
        """Returns when all workers have ended: 0 after a signal, else the code of the one that failed."""
        for number in ENDING_SIGNALS:
            signal.signal(number, self._told)
        signal.signal(RELOAD_SIGNAL, self._told_to_reload)
        for _ in range(self._settings.workers):
            if not self._stopping:
                self._start()
        while self._started:
            pid, status = os.wait()
            self._ended(pid, os.waitstatus_to_exitcode(status))
        return self._exit_code

    def _told(self, _number: int, _frame: FrameType | None) -> None:
        self._pass_on(HURRY_SIGNAL if self._stopping else signal.SIGTERM)

    def _told_to_reload(self, number: int, _frame: FrameType | None) -> None:
        for pid in tuple(self._started):
            os.kill(pid, number)

    def _pass_on(self, number: signal.Signals) -> None:
        self._stopping = True
        for pid in tuple(self._started):
            os.kill(pid, number)

    def _start(self) -> None:
        # Held back around the fork: a signal must not reach a child that still has our handler, nor us before we
        # know the child. The child takes them from its own loop on.
        signal.pthread_sigmask(signal.SIG_BLOCK, (*ENDING_SIGNALS, RELOAD_SIGNAL))
        pid = os.fork()
        if pid == 0:
            self._work()
        self._started[pid] = time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*ENDING_SIGNALS, RELOAD_SIGNAL))
        log.info("worker.started", pid=pid)

    def _work(self) -> NoReturn:
        """The child's life. Leaves by os._exit, so that nothing of the parent runs twice."""
        code = EXIT_FAILED
        try:
            os.close(self._our_end)
            code = run_process(self._settings, *self._sockets, parent_fd=self._parent_fd, again=self._again)
        except ConfigError as error:
            log.error("service.misconfigured", problems=error.problems)  # noqa: TRY400  # its text says all
            code = EXIT_CONFIG
        except BaseException:
            log.exception("worker.failed")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            logs.flush()
            os._exit(code)

    def _ended(self, pid: int, code: int) -> None:
        lived = time.monotonic() - self._started.pop(pid)
        if self._stopping:
            self._exit_code = self._exit_code or max(code, EXIT_STOPPED)
            return
        log.error("worker.ended", pid=pid, exit_code=code, lived_seconds=round(lived, 1))
        if code != EXIT_CONFIG and lived >= _SHORTEST_LIFE_SECONDS:
            self._start()
            return
        self._exit_code = code if code > 0 else EXIT_FAILED
        self._pass_on(signal.SIGTERM)


def run(
    settings: Settings,
    public: socket.socket,
    internal: socket.socket | None,
    *,
    again: Callable[[], Settings] | None = None,
) -> int:
    """One process, or a parent of several, as the settings say. Returns the exit code. Raises ConfigError.

    ``again`` reads the settings anew, when that is asked for by SIGHUP.
    """
    if settings.workers == 1:
        return run_process(settings, public, internal, again=again)
    return Workers(settings, public, internal, again).run()
