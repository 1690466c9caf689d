"""Large mail is read in a process with limits: whatever it does there, the service goes on, and tells."""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import resource
import signal
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from siege.mails import MAILS
from tests.bad_days.services import Service
from tests.harness import ADDRESS, SECRET
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

_BYTES = 6_000_000
_TICKS = os.sysconf("SC_CLK_TCK")


class Door:
    """A service, and who posts to it."""

    def __init__(self, service: Service, http: httpx2.AsyncClient) -> None:
        self.service = service
        self._http = http
        self._posts = 0

    async def post(self, name: str, size_bytes: int = _BYTES) -> httpx2.Response:
        """A mail of the siege, each time as another event."""
        self._posts += 1
        headers = {
            "authorization": f"Bearer {SECRET}",
            "x-envelope-to": ADDRESS,
            "webhook-id": str(self._posts),
        }
        return await self._http.post("/inbound/raw", content=MAILS[name](size_bytes), headers=headers)

    async def is_well(self) -> bool:
        """Whether mail of both kinds is taken."""
        answers = [await self.post("text", 100), await self.post("text", 2_000_000)]
        return all(answer.status_code == 200 and answer.json()["accepted"] for answer in answers)

    def readers(self) -> list[int]:
        """The processes in which mail is read, by their ids."""
        found = []
        for task in Path(f"/proc/{self.service.pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
        return found


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    with (
        RedisServer() as redis,
        await Service.start(redis.url, tmp_path, RELAY_REDIS_TIMEOUT_SECONDS="30") as service,
    ):
        async with httpx2.AsyncClient(base_url=service.url, timeout=60, verify=False, trust_env=False) as http:
            yield Door(service, http)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _status_bytes(pid: int, name: str) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


async def test_hostile_mail_costs_the_service_next_to_nothing(door: Door) -> None:
    """Of its own CPU: it moves the bytes. And all of it, less than a process that reads mail costs before it reads."""
    assert await door.is_well()
    [reader] = door.readers()
    before = _cpu_seconds(door.service.pid)
    at_rest, reader_at_rest = _status_bytes(door.service.pid, "VmHWM"), _status_bytes(reader, "VmHWM")
    for name in ("Latin-1 as UTF-8", "folded by LF", "UTF-16 of half characters", "uuencoded empty lines"):
        assert (await door.post(name)).json()["accepted"]
    assert door.readers() == [reader]  # the same, used again
    assert _cpu_seconds(door.service.pid) - before < 1.0  # 0.2 s; read here, these take 1.5 s
    grown = _status_bytes(door.service.pid, "VmHWM") - at_rest + _status_bytes(reader, "VmHWM") - reader_at_rest
    assert grown < 2 * 8 * _BYTES


async def test_a_mail_that_takes_more_memory_than_it_may_is_parked(door: Door) -> None:
    assert await door.is_well()
    [reader] = door.readers()
    most = _status_bytes(reader, "VmData") + _BYTES
    resource.prlimit(reader, resource.RLIMIT_DATA, (most, most))
    answer = await door.post("text")
    assert answer.status_code == 200
    [parked] = answer.json()["parked"]
    assert parked["reason"] == "the mail cannot be read: it takes more memory than a mail of its size may"
    assert not answer.json()["accepted"]
    assert await door.is_well()
    assert door.readers() != [reader]


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [
        (signal.SIGXCPU, 200, "the mail cannot be read: it takes more CPU than a mail may"),
        (signal.SIGSEGV, 200, "the mail cannot be read: the process that read it broke down (-11)"),
        (signal.SIGKILL, 503, ""),
    ],
)
async def test_a_process_that_breaks_down_takes_one_mail_with_it(
    door: Door, number: signal.Signals, status: int, reason: str
) -> None:
    """Killed is not its own fault: that mail is worth another try."""
    assert await door.is_well()
    [reader] = door.readers()
    os.kill(reader, signal.SIGSTOP)  # so that it has the mail, and does not finish
    posting = asyncio.create_task(door.post("text"))
    await asyncio.to_thread(_until_begun, reader)
    os.kill(reader, number)
    os.kill(reader, signal.SIGCONT)
    answer = await posting
    assert answer.status_code == status
    assert [parked["reason"] for parked in answer.json().get("parked", [])] == ([reason] if reason else [])
    assert await door.is_well()


def _until_begun(reader: int) -> None:
    """Returns when there is something in its stdin."""
    waiting = array.array("i", [0])
    with Path(f"/proc/{reader}/fd/0").open("rb", buffering=0) as pipe:
        while not waiting[0]:
            os.sched_yield()
            fcntl.ioctl(pipe, termios.FIONREAD, waiting)
