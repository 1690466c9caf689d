"""``python -m siege``: attacks a service with its default configuration, and prints what that cost whom.

    python -m siege                               all of it, some minutes
    python -m siege --only "mail: nested"         one row; may be repeated
    python -m siege --seconds 20                  how long each goes on

Exit code: 0 in every row the service lived, others' answers of /livez took at most 250 ms at the 99th percentile, and
nothing that was accepted is lost; 1 it was not so.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx2
import redis.asyncio
import uvloop
from rich.console import Console
from rich.table import Table

from siege import watch
from siege.rows import ROWS, names
from siege.watch import Seen
from tests.bad_days.services import Service
from tests.harness import OTHER_ADDRESS, OTHER_KEY
from tests.redis_server import RedisServer

_SECONDS = 8.0
_MOST_P99_MS = 250.0
_MIB = 1024 * 1024
_COLUMNS = ("RSS MiB", "CPU s", "files", "Redis ms", "posts 200", "/livez p99 ms", "lost", "")


def main() -> int:
    """Returns the exit code."""
    given = _arguments()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what we started ends with us
    console = Console()
    console = console if console.is_terminal else Console(width=150)
    table = Table("attack", *_COLUMNS, title=f"Siege, {given.seconds:g} s each")
    for column in table.columns[1:]:
        column.justify = "right"
    failed = False
    for name in given.only or names():
        with console.status(f"{name} ..."):
            seen = _row(name, given.seconds)
        problem = _problem(seen)
        failed |= bool(problem)
        table.add_row(name, *_cells(seen), problem)
    console.print(table)
    return 1 if failed else 0


def _arguments() -> Any:
    parser = argparse.ArgumentParser(prog="python -m siege", description="Attacks a service of its own.")
    parser.add_argument("--only", action="append", choices=names(), help="one row; may be repeated")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="how long each goes on")
    return parser.parse_args()


def _problem(seen: Seen | None) -> str:
    if seen is None:
        return "DIED"
    if seen.lost:
        return "LOST"
    if not seen.answered:
        return "NO MAIL"
    return "SLOW" if seen.p99_ms > _MOST_P99_MS else ""


def _cells(seen: Seen | None) -> list[str]:
    if seen is None:
        return [""] * (len(_COLUMNS) - 1)
    return [
        f"{seen.rss_bytes / _MIB:,.0f}",
        f"{seen.cpu_seconds:.1f}",
        f"{seen.files:,}",
        f"{seen.redis_ms:.1f}",
        f"{seen.answered}/{seen.posted}",
        f"{seen.p99_ms:.0f}",
        f"{seen.lost}",
    ]


def _row(name: str, seconds: float) -> Seen | None:
    """None: the service has ended."""
    with (
        RedisServer() as server,
        tempfile.TemporaryDirectory(prefix="siege-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_besieged(name, server, Path(folder), seconds))


async def _besieged(name: str, server: RedisServer, folder: Path, seconds: float) -> Seen | None:
    async with redis.asyncio.Redis.from_url(server.url) as database:
        await database.config_set("slowlog-log-slower-than", 1000)
        with await Service.start(server.url, folder) as service:
            seen = Seen()
            async with httpx2.AsyncClient(base_url=service.url, verify=False, trust_env=False) as http:
                await _go_on(name, service, seen, http, seconds)
                try:
                    seen.lost = len(seen.accepted - await _kept(http, len(seen.accepted)))
                except httpx2.HTTPError:
                    return None
            slow = await database.slowlog_get(128)
            seen.redis_ms = max((one["duration"] / 1000 for one in slow), default=0.0)
            return seen


async def _go_on(name: str, service: Service, seen: Seen, http: httpx2.AsyncClient, seconds: float) -> None:
    tasks = [
        asyncio.ensure_future(one)
        for one in (
            ROWS[name](service.url),
            watch.look(seen, service.pid),
            watch.ask(seen, http),
            watch.post(seen, http),
        )
    ]
    try:
        ended, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for one in ended:
            one.result()
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _kept(http: httpx2.AsyncClient, count: int) -> set[str]:
    answer = await http.get(
        f"/api/addresses/{OTHER_ADDRESS}/messages",
        params={"limit": count + 10},  # one that was cut off may be kept as well
        headers={"mailsac-key": OTHER_KEY},
        timeout=30,
    )
    answer.raise_for_status()
    return {one["_id"] for one in answer.json()}


if __name__ == "__main__":
    sys.exit(main())
