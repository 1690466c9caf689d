"""Two processes restart one after the other under clients that follow them: all is received, and they come
back spread."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import pytest

from relay.client import listener as client
from tests.bad_days.follower import Follower, Waits
from tests.bad_days.posting import Poster
from tests.bad_days.services import Service
from tests.bad_days.tally import Tally, count
from tests.harness import ACCOUNT, KEY
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

_ADDRESSES = 20
_PROCESSES = 2
_PAUSE_SECONDS = 0.01  # between posts; each is five deliveries to clients in this process
_SETTINGS = {"RELAY_MAX_SOCKETS_PER_ACCOUNT": "10000"}


async def scenario(
    server: RedisServer,
    folder: Path,
    *,
    sockets: int,
    mails: int,
    waits: Waits,
    pause_seconds: float = 0,
    reopened_seconds: list[float] | None = None,
) -> Tally:
    """``mails`` are accepted by the other process before and while one is away. The sockets share 20 addresses.

    ``reopened_seconds`` gets, for each socket that came back, the time since its process was told to end.
    """
    addresses = [f"follower{number}@mailsac.com" for number in range(_ADDRESSES)]
    (folder / "accounts.toml").write_text(_accounts(addresses))
    async with AsyncExitStack() as running:
        starting = (Service.start(server.url, folder, **_SETTINGS) for _ in range(_PROCESSES))
        services = [running.enter_context(service) for service in await asyncio.gather(*starting)]
        poster = await running.enter_async_context(
            Poster(services[0].url, *addresses, pause_seconds=pause_seconds)
        )
        followers = [
            Follower(services[number % _PROCESSES].url, addresses[number % _ADDRESSES], waits)
            for number in range(sockets)
        ]
        for follower in followers:
            await running.enter_async_context(follower)
        async with poster.steadily(lanes=1):
            for number in range(_PROCESSES):
                await poster.more_accepted(mails)
                poster.url = services[number - 1].url
                leaving_seconds = datetime.now().astimezone().timestamp()
                restarted = await _restart(server, folder, services[number], poster, mails)
                services[number] = running.enter_context(restarted)
                while await services[number].sockets() < sockets // _PROCESSES:
                    await poster.more_accepted(1)  # no event tells; so ask with each mail
                if reopened_seconds is not None:
                    reopened_seconds += [at - leaving_seconds for at in _opened(services[number])]
        ends = {address: (await poster.mark(address)).token for address in addresses}
        for follower in followers:
            await follower.has(ends[next(iter(follower.addresses))])
        return count(poster, followers)


async def _restart(server: RedisServer, folder: Path, old: Service, poster: Poster, mails: int) -> Service:
    """On the same port, when mail has come that nobody there could get."""
    await old.end()
    await poster.more_accepted(mails)
    return await Service.start(server.url, folder, **_SETTINGS, RELAY_PORT=old.url.rpartition(":")[2])


def _opened(service: Service) -> list[float]:
    """Unix times at which sockets were opened, from the log."""
    events = (json.loads(line) for line in service.err.lines)
    return [
        datetime.fromisoformat(event["timestamp"]).timestamp()
        for event in events
        if event["event"] == "socket.open"
    ]


def _accounts(addresses: list[str]) -> str:
    rows = ",\n".join(f'    {{ address = "{address}", enablews = true }}' for address in addresses)
    return f'[[accounts]]\nid = "{ACCOUNT}"\nkeys = ["{KEY}"]\naddresses = [\n{rows}\n]\n'


def busiest_share(waits: Waits) -> float:
    """Of the half second in which most clients come back."""
    halves = Counter(int(seconds * 2) for seconds in waits.after_restarts)
    return max(halves.values()) / sum(halves.values())


async def test_rolling_restart(server: RedisServer, tmp_path: Path) -> None:
    waits = Waits(hurry=50)
    tally = await scenario(server, tmp_path, sockets=60, mails=20, waits=waits, pause_seconds=_PAUSE_SECONDS)
    assert (tally.lost, tally.repeated, tally.gaps) == (0, 0, 0)
    assert tally.received == tally.accepted * 60 // _ADDRESSES
    assert busiest_share(waits) < 0.4  # 60 and more in ten halves; 24 in one would be a rare accident


async def test_without_cursors(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.Listener, "_where", lambda _listener: "")
    waits = Waits(hurry=50)
    tally = await scenario(server, tmp_path, sockets=20, mails=20, waits=waits, pause_seconds=_PAUSE_SECONDS)
    assert tally.lost >= 20  # a mail for each address while its socket could not be open


async def test_without_chance(server: RedisServer, tmp_path: Path) -> None:
    waits = Waits(hurry=50, random=lambda: 0.0)
    await scenario(server, tmp_path, sockets=20, mails=1, waits=waits, pause_seconds=_PAUSE_SECONDS)
    assert busiest_share(waits) > 0.4
