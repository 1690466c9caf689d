"""The rows of the siege: what is done to a service for some seconds, by strangers, by senders, by customers."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx2

from siege import strangers
from siege.mails import MAILS
from tests.harness import ADDRESS, DOMAIN, KEY, SECRET

Row = Callable[[str], Awaitable[None]]  # is given the URL of the service, and goes on until it is cancelled

_MAIL_BYTES = 25 * 1024 * 1024 - 1024
_SOCKETS = 30
# Those of the issue first: what each cost before is said in mails.py.
_HOSTILE = (
    *("Latin-1 as UTF-8", "folded header", "uuencoded !!", "uuencoded empty lines", "uuencoded two characters"),
    *("nested", "http://", "parts", "recipients", "one letter"),
)


def _stranger(attack: strangers.Attack) -> Row:
    async def row(url: str) -> None:
        parts = urlsplit(url)
        await attack(strangers.Target(parts.hostname or "", parts.port or 0))

    return row


async def _post(http: httpx2.AsyncClient, mail: bytes, number: int, *, to: str = ADDRESS) -> None:
    headers = {"authorization": f"Bearer {SECRET}", "x-envelope-to": to, "webhook-id": f"siege-{number}-{to}"}
    with suppress(httpx2.HTTPError):
        await http.post("/inbound/raw", content=mail, headers=headers)


def _client(url: str) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=64)
    return httpx2.AsyncClient(base_url=url, timeout=60, verify=False, trust_env=False, limits=limits)


def _sender(name: str) -> Row:
    """One mail after the other."""

    async def row(url: str) -> None:
        mail = await asyncio.to_thread(MAILS[name], _MAIL_BYTES)
        async with _client(url) as http:
            number = random.getrandbits(60)
            while True:
                number += 1
                await _post(http, mail, number)

    return row


async def _many_at_once(url: str) -> None:
    """16 ordinary mails of 25 MB at once."""
    mail = await asyncio.to_thread(MAILS["ordinary"], _MAIL_BYTES)
    first = random.getrandbits(60)
    async with _client(url) as http:
        while True:
            await asyncio.gather(*(_post(http, mail, first + number) for number in range(16)))
            first += 16


async def _fill(url: str) -> None:
    """Mail that does not shrink, to many addresses of one account, as fast as it is taken."""
    text = random.Random(1).randbytes(2_000_000).hex().encode()
    async with _client(url) as http:
        number = random.getrandbits(60)
        while True:
            number += 8
            some = range(number, number + 8)
            await asyncio.gather(
                *(
                    _post(http, b"Subject: %d\r\n\r\n%b" % (one, text), one, to=f"n{one % 40}@{DOMAIN}")
                    for one in some
                )
            )


async def _unread_replays(url: str) -> None:
    """30 sockets that ask for large mail and read nothing of it."""
    async with _client(url) as http:
        await _post(http, await asyncio.to_thread(MAILS["ordinary"], 18_000_000), random.getrandbits(60))
    request = strangers.head(
        f"GET /incoming-messages?addresses={ADDRESS}&since=1h",
        f"Mailsac-Key: {KEY}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    parts = urlsplit(url)

    async def one() -> None:
        while True:
            _, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1)
            writer.write(request)
            try:
                await asyncio.sleep(40)  # it is cut off as slow before
            finally:
                writer.transport.abort()

    async with asyncio.TaskGroup() as group:
        for _ in range(_SOCKETS):
            group.create_task(one())


async def _lists(url: str) -> None:
    """Ten clients of one account ask for lists over and over."""
    async with _client(url) as http:

        async def one() -> None:
            while True:
                with suppress(httpx2.HTTPError):
                    await http.get("/api/inbox?limit=1000", headers={"mailsac-key": KEY})

        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(one())


ROWS: Mapping[str, Row] = MappingProxyType(
    {
        **{f"stranger: {name}": _stranger(attack) for name, attack in strangers.ATTACKS.items()},
        **{f"mail: {name}": _sender(name) for name in _HOSTILE},
        "mail: 16 of 25 MB at once": _many_at_once,
        "mail: an account is filled": _fill,
        "customer: 30 unread replays": _unread_replays,
        "customer: lists": _lists,
    }
)


@functools.cache
def names() -> list[str]:
    """Of all rows, as they are shown and asked for."""
    return list(ROWS)
