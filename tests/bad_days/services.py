"""``relay serve`` as a process of its own, to be killed or measured; with the accounts of tests/harness.py."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx2

from tests.cli.command import Running
from tests.harness import ACCOUNTS_TOML, SECRET

_END_SECONDS = 60.0


class Service(Running):
    """Takes requests, with its accounts loaded, when :meth:`start` returns."""

    url: str

    @classmethod
    async def start(cls, redis_url: str, folder: Path, *, program: str = "", **settings: str) -> Service:
        """``settings`` are RELAY_… variables. The caller ends it: it is a context manager.

        ``program``: another relay than this one.
        """
        accounts = folder / "accounts.toml"
        if not accounts.exists():
            accounts.write_text(ACCOUNTS_TOML)
        fixed = {
            "RELAY_REDIS_URL": redis_url,
            "RELAY_RAW_SECRET": SECRET,
            "RELAY_DOMAINS": "mailsac.com",
            "RELAY_ACCOUNTS_FILE": str(accounts),
            "RELAY_PORT": "0",
        }
        service = cls("serve", program=program, **(fixed | settings))
        try:
            listening = await asyncio.to_thread(service.event, "service.listening")
            service.url = str(listening["url"])
            await asyncio.to_thread(service.event, "bus.connected")  # the accounts are loaded before
        except BaseException:
            service.__exit__(None, None, None)
            raise
        return service

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def kill(self) -> None:
        """Ends it as a crash does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def resident_bytes(self) -> int:
        """The memory that it holds now (VmRSS of Linux)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    async def end(self) -> None:
        """Asks it to end, and waits until it has."""
        self._process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(self.ended, within_seconds=_END_SECONDS) == 0

    async def sockets(self) -> int:
        """How many are open."""
        return await self.metric("relay_sockets")

    async def closed(self, code: int) -> int:
        """How many sockets it has closed with this code."""
        return await self.metric(f'relay_socket_closes_total{{code="{code}"}}')

    async def metric(self, name: str) -> int:
        """What /metrics says; 0 = nothing."""
        async with httpx2.AsyncClient(verify=False, trust_env=False) as http:
            lines = (await http.get(f"{self.url}/metrics")).text.splitlines()
        return sum(round(float(line.rpartition(" ")[2])) for line in lines if line.startswith(f"{name} "))
