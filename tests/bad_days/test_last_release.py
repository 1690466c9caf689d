"""The last release beside this one on one Redis: forward under load, back, and what each kept the other finds."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest

from tests.bad_days.follower import Follower, Waits
from tests.bad_days.posting import Poster
from tests.bad_days.services import Service
from tests.bad_days.tally import Tally, count
from tests.harness import ACCOUNT, KEY
from tests.redis_server import RedisServer
from tests.releases import unpack

pytestmark = pytest.mark.anyio

_ADDRESSES = [f"follower{number}@mailsac.com" for number in range(2)]
_NOW = ""  # the program of the checkout
_LARGE = b"".join(b"%d a line of a mail that is too large for a doorbell\r\n" % number for number in range(4000))


@pytest.fixture(scope="session")
def last_release(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program of the last release."""
    return unpack(tmp_path_factory.mktemp("release"))


def declare(folder: Path) -> None:
    rows = ",\n".join(f'    {{ address = "{address}", enablews = true }}' for address in _ADDRESSES)
    (folder / "accounts.toml").write_text(
        f'[[accounts]]\nid = "{ACCOUNT}"\nkeys = ["{KEY}"]\naddresses = [\n{rows}\n]\n'
    )


async def rolling(server: RedisServer, folder: Path, before: list[str], after: str) -> Tally:
    """Processes run the programs ``before``, started in this order; one after the other is replaced by ``after``."""
    declare(folder)
    async with AsyncExitStack() as running:
        services = [
            running.enter_context(await Service.start(server.url, folder, program=program)) for program in before
        ]
        poster = await running.enter_async_context(Poster(services[0].url, *_ADDRESSES, pause_seconds=0.01))
        waits = Waits(hurry=50)
        followers = [
            await running.enter_async_context(
                Follower(services[number % len(services)].url, _ADDRESSES[number // len(services)], waits)
            )
            for number in range(len(services) * len(_ADDRESSES))
        ]
        async with poster.steadily(lanes=1):
            for number in range(len(services)):
                await poster.more_accepted(10)
                poster.url = services[number - 1].url
                port = services[number].url.rpartition(":")[2]
                await services[number].end()
                await poster.more_accepted(10)  # that nobody there can get
                services[number] = running.enter_context(
                    await Service.start(server.url, folder, program=after, RELAY_PORT=port)
                )
                while await services[number].sockets() < len(_ADDRESSES):
                    await poster.more_accepted(1)
                poster.url = services[number].url  # the new one posts, the old one hears
                await poster.more_accepted(10)
        ends = {address: (await poster.mark(address)).token for address in _ADDRESSES}
        for follower in followers:
            await follower.has(ends[next(iter(follower.addresses))])
        return count(poster, followers)


async def test_forward_under_load(server: RedisServer, tmp_path: Path, last_release: str) -> None:
    tally = await rolling(server, tmp_path, [last_release, last_release], _NOW)
    assert (tally.lost, tally.repeated, tally.gaps) == (0, 0, 0)


async def test_back_under_load(server: RedisServer, tmp_path: Path, last_release: str) -> None:
    tally = await rolling(server, tmp_path, [last_release, _NOW], last_release)
    assert (tally.lost, tally.repeated, tally.gaps) == (0, 0, 0)


async def listed(service: Service, address: str) -> list[str]:
    """Subjects, oldest first, of the list and of each message itself."""
    headers = {"Mailsac-Key": KEY}
    async with httpx2.AsyncClient(verify=False, trust_env=False, base_url=service.url, headers=headers) as http:
        answer = await http.get(f"/api/addresses/{address}/messages")
        assert answer.status_code == 200, answer.text
        entries = answer.json()[::-1]
        for entry in entries:
            raw = await http.get(f"/api/raw/{address}/{entry['_id']}")
            assert raw.status_code == 200, raw.text
            assert entry["subject"].encode() in raw.content
            assert entry["size"] == len(raw.content)
    return [entry["subject"] for entry in entries]


@pytest.mark.parametrize("order", ["forward", "back"])
async def test_what_one_kept_the_other_finds(
    server: RedisServer, tmp_path: Path, last_release: str, order: str
) -> None:
    """One after the other, none beside another: small mail and large, by REST and by a cursor."""
    declare(tmp_path)
    address = _ADDRESSES[0]
    programs = [last_release, _NOW] if order == "forward" else [last_release, _NOW, last_release]
    posted: list[str] = []
    async with Poster("", address, body=b"small") as small, Poster("", address, body=_LARGE) as large:
        for program in programs:
            with await Service.start(server.url, tmp_path, program=program) as service:
                assert await listed(service, address) == posted
                for poster in (small, large):
                    poster.url = service.url
                    posted.append((await poster.mark(address)).token)
                assert await listed(service, address) == posted
                await service.end()
