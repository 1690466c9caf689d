"""What a service under siege costs, and what others get of it meanwhile."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx2

from tests.harness import OTHER_ADDRESS, SECRET

_LOOK_SECONDS = 0.05
_POST_SECONDS = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Seen:
    """Of one row."""

    rss_bytes: int = 0  # most of the service and its processes together
    cpu_seconds: float = 0.0
    files: int = 0  # most that were open
    redis_ms: float = 0.0  # longest of one command
    livez_ms: list[float] = field(default_factory=list)
    posted: int = 0
    answered: int = 0  # 200
    accepted: set[str] = field(default_factory=set)  # `_id`
    lost: int = 0  # of these, not kept afterwards

    @property
    def p99_ms(self) -> float:
        """Of the answers of /livez."""
        ordered = sorted(self.livez_ms)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] if ordered else float("inf")


def family(pid: int) -> Iterator[int]:
    """A process and those that it started."""
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def rss_bytes(pid: int) -> int:
    """Of one process; 0 when it has ended."""
    with suppress(OSError, ValueError):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """Of one process; 0 when it has ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0


def open_files(pid: int) -> int:
    """Of one process; 0 when it has ended."""
    with suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0


async def look(seen: Seen, pid: int) -> None:
    """Until it is cancelled."""
    before: dict[int, float] = {}
    spent: dict[int, float] = {}
    while True:
        alive = list(family(pid))
        seen.rss_bytes = max(seen.rss_bytes, sum(map(rss_bytes, alive)))
        seen.files = max(seen.files, open_files(pid))
        for one in alive:
            now = cpu_seconds(one)
            spent[one] = now - before.setdefault(one, now if one == pid and not seen.livez_ms else 0.0)
        seen.cpu_seconds = sum(spent.values())
        await asyncio.sleep(_LOOK_SECONDS)


async def ask(seen: Seen, http: httpx2.AsyncClient) -> None:
    """``/livez``, until it is cancelled."""
    while True:
        began = time.perf_counter()
        try:
            await http.get("/livez", timeout=10)
            seen.livez_ms.append((time.perf_counter() - began) * 1000)
        except httpx2.HTTPError:
            seen.livez_ms.append(10_000.0)
        await asyncio.sleep(_LOOK_SECONDS)


async def post(seen: Seen, http: httpx2.AsyncClient) -> None:
    """Small mails of somebody else, until it is cancelled."""
    while True:
        number = uuid4().hex
        headers = {"authorization": f"Bearer {SECRET}", "x-envelope-to": OTHER_ADDRESS, "webhook-id": number}
        seen.posted += 1
        with suppress(httpx2.HTTPError):
            mail = f"Subject: {number}\r\n\r\nbody\r\n".encode()
            answer = await http.post("/inbound/raw", content=mail, headers=headers, timeout=10)
            if answer.status_code == 200:
                seen.answered += 1
                seen.accepted.add(answer.json()["accepted"][0]["_id"])
        await asyncio.sleep(_POST_SECONDS)
