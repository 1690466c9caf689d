"""A start with a long accounts file: ready at once, nothing lost or refused meanwhile, and done with one question when
nothing has changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from relay import settings
from relay.accounts.addresses import Addresses
from relay.service import serve
from tests import harness
from tests.harness import ACCOUNT, ACCOUNTS_TOML, ADDRESS, KEY, OTHER_KEY, QUIET_ADDRESS, Relay

pytestmark = pytest.mark.anyio

NEW = "new@mailsac.com"
LONGER = ACCOUNTS_TOML.replace(
    f'{{ address = "{QUIET_ADDRESS}"',
    f'{{ address = "{NEW}", enablews = true }},\n    {{ address = "{QUIET_ADDRESS}"',
)
MANY = 10_000


class Held:
    """The addresses of the file come when :attr:`go` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        original = Addresses.declare_all

        async def held(*args: Any, **kwargs: Any) -> Any:
            self.begun.set()
            await self.go.wait()
            return await original(*args, **kwargs)

        monkeypatch.setattr(Addresses, "declare_all", held)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


async def _checks(relay: Relay) -> dict[str, bool]:
    checks: dict[str, bool] = (await relay.internal.get("/readyz")).json()
    return checks


async def test_it_is_ready_before_all_is_applied_and_says_so(redis_url: str, tmp_path: Path, held: Held) -> None:
    async with harness.relay(redis_url, tmp_path) as relay:
        assert held.begun.is_set()
        assert await _checks(relay) == {
            "ready": True,
            "redis": True,
            "writes": True,
            "accounts": False,
            "staying": True,
        }
        held.go.set()
        await relay.rest("GET", "/api/addresses")
        assert (await _checks(relay))["accounts"]


async def test_who_needs_what_is_not_there_yet_waits_for_it(redis_url: str, tmp_path: Path, held: Held) -> None:
    async with harness.relay(redis_url, tmp_path) as relay, asyncio.TaskGroup() as tasks:

        async def hears() -> str:
            async with relay.listen() as socket:
                await relay.send("for the socket")
                return await socket.subject()

        waiting = [
            posted := tasks.create_task(relay.post(harness.MAIL, ADDRESS)),
            listed := tasks.create_task(relay.rest("GET", "/api/addresses")),
            reserved := tasks.create_task(relay.rest("POST", f"/api/addresses/{ADDRESS}", key=OTHER_KEY)),
            heard := tasks.create_task(hears()),
        ]
        assert (await _checks(relay))["accounts"] is False  # an answer that came behind these requests
        assert not any(task.done() for task in waiting)
        held.go.set()
        assert [accepted["inbox"] for accepted in (await posted).json()["accepted"]] == [ADDRESS]
        assert len((await listed).json()) == 3
        assert (await reserved).status_code == 401  # it is the other account's, although it was not yet
        assert await heard in {"for the socket", "Hello"}


@pytest.mark.parametrize("path", ["/api/addresses", f"/api/addresses/{ADDRESS}", "/api/me"])
async def test_rest_that_waits_too_long_is_told_to_come_back(
    empty_redis_url: str, tmp_path: Path, held: Held, path: str
) -> None:
    async with harness.relay(empty_redis_url, tmp_path, redis_timeout_seconds=0.2) as relay:
        late = await relay.rest("GET", path)
        assert (late.status_code, late.headers["retry-after"]) == (503, "5")
        assert late.json()["error"] == "the accounts file is being applied; try again"
        held.go.set()
        assert (await relay.rest("GET", path)).status_code == 200


async def test_mail_that_waits_too_long_is_sent_again_and_none_is_refused(
    redis_url: str, tmp_path: Path, held: Held
) -> None:
    async with harness.relay(redis_url, tmp_path, redis_timeout_seconds=0.2) as relay:
        assert (await relay.post(harness.MAIL, ADDRESS)).status_code == 503
        assert (await relay.post(harness.MAIL, ADDRESS, "nobody@mailsac.com")).status_code == 503
        held.go.set()
        accepted = await relay.post(harness.MAIL, ADDRESS, "nobody@mailsac.com")
        assert [one["inbox"] for one in accepted.json()["accepted"]] == [ADDRESS]
        assert [one["reason"] for one in accepted.json()["rejected"]] == ["not reserved"]


async def test_a_socket_that_waits_too_long_is_told_that_the_service_starts(
    empty_redis_url: str, tmp_path: Path, held: Held
) -> None:
    async with harness.relay(empty_redis_url, tmp_path, redis_timeout_seconds=0.2) as relay:
        async with relay.listen() as socket:
            assert await socket.closed() == (1012, "the service is restarting; connect again")
        held.go.set()


async def test_what_was_there_before_goes_on_while_more_is_applied(
    empty_redis_url: str, tmp_path: Path, held: Held
) -> None:
    held.go.set()
    async with harness.relay(empty_redis_url, tmp_path):
        pass
    held.go.clear()
    await asyncio.to_thread((tmp_path / "accounts.toml").write_text, LONGER)
    async with harness.relay(empty_redis_url, tmp_path) as relay:
        async with relay.listen() as socket:
            await relay.send("at once")
            assert await socket.subject() == "at once"
        assert not (await _checks(relay))["accounts"]
        new = asyncio.create_task(relay.send("waits", NEW))
        held.go.set()
        assert await new


async def test_a_start_that_finds_nothing_changed_asks_for_no_address(
    empty_redis_url: str, tmp_path: Path
) -> None:
    declared = "".join(f'    {{ address = "u{n}@mailsac.com", enablews = true }},\n' for n in range(MANY))
    text = ACCOUNTS_TOML.replace("addresses = [\n", f"addresses = [\n{declared}")
    await asyncio.to_thread((tmp_path / "accounts.toml").write_text, text)
    async with harness.relay(empty_redis_url, tmp_path, redis_timeout_seconds=30) as relay:
        assert [accepted async for accepted in _accepted(relay, (0, MANY - 1))] == ["u0", f"u{MANY - 1}"]
        listed = (await relay.rest("GET", "/api/addresses")).json()
        assert [one["_id"] for one in listed] == sorted(one["_id"] for one in listed)
        assert len(listed) == MANY + 3
    with redis.Redis.from_url(empty_redis_url) as client:
        client.config_resetstat()
        async with harness.relay(empty_redis_url, tmp_path) as relay:
            assert (await _checks(relay))["accounts"]
        asked = {name: int(count["calls"]) for name, count in client.info("commandstats").items()}
    assert sum(asked.get(f"cmdstat_{name}", 0) for name in ("evalsha", "eval", "hset", "hmget", "zadd")) == 0
    assert asked["cmdstat_get"] < 10


async def _accepted(relay: Relay, numbers: tuple[int, ...]) -> Any:
    for number in numbers:
        answer = await relay.post(harness.MAIL, f"u{number}@mailsac.com")
        yield answer.json()["accepted"][0]["inbox"].partition("@")[0]


async def test_what_is_wrong_in_a_long_file_ends_the_start(redis_url: str, tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    declared = "".join(f'{{ address = "u{n}@mailsac.com" }},\n' for n in range(5_000))
    text = f'[[accounts]]\nid = "{ACCOUNT}"\nkeys = ["{KEY} x"]\nname = 1\naddresses = [{declared}]\n'
    await asyncio.to_thread(path.write_text, text)
    loaded = settings.load({}, redis_url=redis_url, accounts_file=path, port=0)
    public, _ = serve.open_sockets(loaded)
    with capture_logs() as logs:
        assert await serve.Process(loaded, public).run() == serve.EXIT_CONFIG
    [told] = [entry for entry in logs if entry["event"] == "service.misconfigured"]
    assert [problem.partition(": ")[0] for problem in told["problems"]] == [
        "accounts[0].keys[0]",
        "accounts[0].name",
    ]
    assert KEY not in str(logs)


async def test_a_redis_that_forgets_while_the_file_is_applied_gets_all_of_it(
    empty_redis_url: str, tmp_path: Path, held: Held
) -> None:
    async with harness.relay(empty_redis_url, tmp_path) as relay:
        with redis.Redis.from_url(empty_redis_url) as client:
            client.flushall()  # the accounts and their keys are there, the addresses are not
        held.go.set()
        assert (await relay.rest("GET", "/api/me")).status_code == 200
        assert len((await relay.rest("GET", "/api/addresses")).json()) == 3
