"""A whole relay for a test, on a free loopback port: entered by its public doors, ended when the test ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import httpx2
import websockets.http11
from websockets.asyncio.client import ClientConnection, connect

from relay import settings
from relay.service.serve import Process, open_sockets

# Of a server that runs websockets, as ours does when it is portable. It is 8 KiB by default; 128 addresses need more.
websockets.http11.MAX_LINE_LENGTH = 64 * 1024

ACCOUNT = "user1"
KEY = "key-of-user1"
OTHER_ACCOUNT = "user2"
OTHER_KEY = "key-of-user2"
ADDRESS = "user1@mailsac.com"  # user1's, forwarding on
QUIET_ADDRESS = "quiet@mailsac.com"  # user1's, forwarding off
OTHER_ADDRESS = "user2@mailsac.com"  # user2's, forwarding on
DOMAIN = "example.com"  # user1's
SECRET = "secret-of-raw"
MAILSAC_SECRET = "secret-of-mailsac"

ACCOUNTS_TOML = f"""
[[accounts]]
id = "{ACCOUNT}"
keys = ["{KEY}", "second-{KEY}"]
address_credits = 1000
domains = ["{DOMAIN}"]
addresses = [
    {{ address = "{ADDRESS}", enablews = true }},
    {{ address = "second@mailsac.com", enablews = true }},
    {{ address = "{QUIET_ADDRESS}", enablews = false }},
]

[[accounts]]
id = "{OTHER_ACCOUNT}"
keys = ["{OTHER_KEY}"]
addresses = [{{ address = "{OTHER_ADDRESS}", enablews = true }}]
"""

MAIL = b"From: Ann <ann@sender.test>\r\nTo: user1@mailsac.com\r\nSubject: Hello\r\n\r\nHello, world.\r\n"


@dataclass
class Relay:
    """One running process, and shorthand for what clients do with it."""

    process: Process
    running: asyncio.Task[int]  # ends with the process, with its exit code
    port: int
    http: httpx2.AsyncClient
    internal: httpx2.AsyncClient  # the operator's port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def socket_url(self, **query: str) -> str:
        return f"ws://127.0.0.1:{self.port}/incoming-messages?{urlencode(query, quote_via=quote, safe=',@')}"

    @asynccontextmanager
    async def listen(self, addresses: str = ADDRESS, *, key: str = KEY, **query: str) -> AsyncIterator[Socket]:
        """An open socket that listens; it is open when its subscriptions are confirmed."""
        async with connect(self.socket_url(key=key, addresses=addresses, **query), proxy=None) as socket:
            yield Socket(socket)

    async def post(self, raw: bytes = MAIL, *to: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """Posts a mail to /inbound/raw with its secret; each time a new event."""
        envelope = {"x-envelope-to": ", ".join(to)} if to else {}
        fixed = {"authorization": f"Bearer {SECRET}", "content-type": "message/rfc822", "webhook-id": uuid4().hex}
        return await self.http.post("/inbound/raw", content=raw, headers={**fixed, **envelope, **(headers or {})})

    async def send(self, subject: str, to: str = ADDRESS) -> str:
        """Posts a small mail that is accepted; returns its ``_id``."""
        answer = await self.post(f"Subject: {subject}\r\n\r\nbody\r\n".encode(), to)
        assert answer.status_code == 200, answer.text
        [accepted] = answer.json()["accepted"]
        return str(accepted["_id"])

    async def rest(self, method: str, path: str, *, key: str = KEY, **more: Any) -> httpx2.Response:
        return await self.http.request(method, path, headers={"mailsac-key": key}, **more)

    async def ready(self) -> bool:
        return (await self.internal.get("/readyz")).status_code == 200

    async def until_ready(self, *, ready: bool = True) -> None:
        """Waits for what /readyz would say. Without asking for it, which would take time from what it waits for."""
        service = self.process.service
        await (service.became_ready if ready else service.became_unready).wait()


@dataclass
class Socket:
    """An open WebSocket of a client."""

    connection: ClientConnection

    async def message(self) -> dict[str, Any]:
        received: dict[str, Any] = json.loads(await self.connection.recv())
        return received

    async def subject(self) -> str:
        return str((await self.message())["subject"])

    async def closed(self) -> tuple[int, str]:
        """The close code and reason, when the server has closed."""
        await self.connection.wait_closed()
        return self.connection.close_code or 0, self.connection.close_reason or ""


@asynccontextmanager
async def relay(
    redis_url: str, folder: Path, *, until_ready: bool = True, portable: bool = False, **overrides: Any
) -> AsyncIterator[Relay]:
    """A running relay with the accounts above; ready, and stopped gracefully afterwards.

    ``portable``: under uvicorn's own WebSocket protocol, as any other server would run it.
    """
    accounts = folder / "accounts.toml"
    if not accounts.exists():
        accounts.write_text(ACCOUNTS_TOML)
    flags = {
        "redis_url": redis_url,
        "accounts_file": accounts,
        "domains": "mailsac.com",
        "port": 0,
        "internal_port": 0,
        "raw_secret": SECRET,
        "mailsac_secret": MAILSAC_SECRET,
        **overrides,
    }
    loaded = settings.load({}, **flags)
    public, internal = open_sockets(loaded)
    assert internal is not None
    started = asyncio.Event()
    process = Process(loaded, public, internal, on_started=lambda _service: started.set(), portable=portable)
    ports = public.getsockname()[1], internal.getsockname()[1]
    running = asyncio.create_task(process.run())
    async with _client(ports[0]) as http, _client(ports[1]) as operator:
        running_relay = Relay(process, running, ports[0], http, operator)
        try:
            await _unless_it_ends(running, started.wait())
            if until_ready:
                await _unless_it_ends(running, running_relay.until_ready())
            yield running_relay
        finally:
            process.stop()
            assert await running == 0


async def _unless_it_ends(running: asyncio.Task[int], wanted: Coroutine[Any, Any, object]) -> None:
    """Waits for what a process does; fails when it ends instead."""
    waiting = asyncio.create_task(wanted)
    try:
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert not running.done(), f"the process ended instead, with exit code {running.result()}"
    finally:
        waiting.cancel()


def _client(port: int) -> httpx2.AsyncClient:
    # Loading certificates for TLS that is not used would take longer than most tests.
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, verify=False)
