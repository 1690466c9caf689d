"""``python -m chaos``: lives through the bad days, and prints what became of the mail.

    python -m chaos                        all of them, some minutes
    python -m chaos --only redis-frozen    one of them; may be repeated

Exit code: 0 nothing was lost; 1 something was, or a day could not be lived through.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import structlog
import uvloop
from rich.console import Console
from rich.table import Table

from chaos.days import DAYS, Day, reopened_seconds
from tests.bad_days.tally import Tally
from tests.redis_server import RedisServer

_DAY_SECONDS = 200.0  # one that takes longer hangs
_BAR_CHARS = 60
_COLUMNS = ("mails posted", "answered 200", "received", "lost", "repeated", "gaps")


def main() -> int:
    """Returns the exit code."""
    names = _names()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every process that is started inherits it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what we started ends with us
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console()
    console = console if console.is_terminal else Console(width=140)
    table = Table("bad day", *_COLUMNS, "s", title="Mail on bad days")
    for column in table.columns[1:]:
        column.justify = "right"
    failed = False
    for name in names:
        began = time.monotonic()
        with console.status(f"{DAYS[name].text} ..."):
            tally = _lived(console, DAYS[name])
        failed |= tally is None or tally.lost > 0
        numbers = [f"{number:,}" for number in dataclasses.astuple(tally)] if tally else ["broke", *[""] * 5]
        table.add_row(DAYS[name].text, *numbers, f"{time.monotonic() - began:.1f}")
    console.print(table)
    console.print("What is received, lost, repeated and told as a gap is added up over the listeners of a day.")
    _show_histogram(console)
    return 1 if failed else 0


def _names() -> list[str]:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Lives through bad days.")
    parser.add_argument("--only", action="append", choices=DAYS, help="one of them; may be repeated")
    only: list[str] | None = parser.parse_args().only
    return only or list(DAYS)


def _lived(console: Console, day: Day) -> Tally | None:
    """None: it could not be lived through, and why has been printed."""
    with (
        RedisServer(persistent=True) as server,
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        try:
            return runner.run(_within_limit(day, server, Path(folder)))
        except Exception:
            console.print(f"{day.text}: {traceback.format_exc(limit=-6)}", markup=False)
            return None


async def _within_limit(day: Day, server: RedisServer, folder: Path) -> Tally:
    async with asyncio.timeout(_DAY_SECONDS):
        return await day.run(server, folder)


def _show_histogram(console: Console) -> None:
    if not reopened_seconds:
        return
    console.print("\nSockets that are open again, by seconds since their process was told to end:")
    seconds = Counter(map(int, reopened_seconds))
    most = max(seconds.values())
    for second in range(max(seconds) + 1):
        console.print(f"{second:4d} s {seconds[second]:5d} {'█' * round(_BAR_CHARS * seconds[second] / most)}")


if __name__ == "__main__":
    sys.exit(main())
