"""Rights that are less than an account's, and rights that end: keys with a scope, accounts that are gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from relay.accounts import Accounts, closing, file
from relay.accounts.accounts import BY_OPERATOR
from relay.errors import Unauthorized
from tests import harness
from tests.bad_days.services import Service as BadDay
from tests.cli.command import run
from tests.cli.service import Service
from tests.harness import ACCOUNT, ACCOUNTS_TOML, ADDRESS, DOMAIN, KEY, OTHER_KEY, Relay
from tests.redis_server import RedisServer
from tests.releases import unpack

pytestmark = pytest.mark.anyio

SECOND = "second@mailsac.com"


async def _key(relay: Relay, **scope: object) -> str:
    answer = await relay.rest("POST", "/api/keys", json=scope)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["key"])


async def _status(relay: Relay, method: str, path: str, key: str) -> int:
    body: dict[str, Any] = {"json": {}} if method in ("POST", "PUT") else {}
    return (await relay.rest(method, path, key=key, **body)).status_code


async def _code(relay: Relay, key: str, addresses: str) -> tuple[int, str]:
    """The close code of a socket that is refused, and what its frame says."""
    async with connect(relay.socket_url(key=key, addresses=addresses), proxy=None) as socket:
        frame = json.loads(await socket.recv())
        await socket.wait_closed()
    return socket.close_code or 0, frame["error"]


async def test_a_read_only_key_changes_nothing(relay: Relay) -> None:
    key = await _key(relay, label="reads", readOnly=True)
    message_id = await relay.send("kept")
    one = f"/api/addresses/{ADDRESS}/messages/{message_id}"
    for path in ("/api/me", "/api/addresses", f"/api/addresses/{ADDRESS}/messages", one, "/api/keys"):
        assert await _status(relay, "GET", path, key) == 200
    for method, path in (
        ("DELETE", one),
        ("PUT", f"{one}/star"),
        ("PUT", f"/api/addresses/{ADDRESS}"),
        ("DELETE", f"/api/addresses/{ADDRESS}"),
        ("POST", "/api/addresses/new@mailsac.com"),
        ("POST", "/api/keys"),
        ("POST", f"/api/addresses/{ADDRESS}/sample"),
    ):
        assert await _status(relay, method, path, key) == 403
    async with relay.listen(key=key) as socket:
        await relay.send("heard")
        assert await socket.subject() == "heard"


async def test_a_bound_key_reaches_one_inbox(relay: Relay) -> None:
    key = await _key(relay, address=ADDRESS.upper())
    message_id = await relay.send("mine")
    mail = f"/api/addresses/{ADDRESS}/messages"
    assert await _status(relay, "GET", mail, key) == 200
    assert await _status(relay, "GET", f"/api/text/{ADDRESS}/{message_id}", key) == 200
    assert await _status(relay, "PUT", f"{mail}/{message_id}/star", key) == 200
    assert await _status(relay, "DELETE", f"{mail}/{message_id}", key) == 200
    assert await _status(relay, "GET", "/api/me", key) == 200
    for method, path in (
        ("GET", f"/api/addresses/{SECOND}/messages"),
        ("GET", "/api/addresses"),
        ("GET", "/api/inbox"),
        ("GET", "/api/keys"),
        ("GET", "/api/activity"),
        ("GET", "/api/addresses/starred/messages"),
        ("PUT", f"/api/addresses/{ADDRESS}"),
        ("DELETE", f"/api/addresses/{ADDRESS}"),
        ("POST", "/api/keys"),
        ("POST", f"/api/domains/{DOMAIN}/delete-all-domain-mail"),
    ):
        assert await _status(relay, method, path, key) == 403, path
    async with relay.listen(key=key) as socket:
        await relay.send("heard")
        assert await socket.subject() == "heard"
    for addresses in (SECOND, DOMAIN, f"{ADDRESS},{SECOND}"):
        code, text = await _code(relay, key, addresses)
        assert (code, f"this API key is for the mail of {ADDRESS} only" in text) == (4403, True)


async def test_an_expired_key_ends_with_its_sockets(relay: Relay) -> None:
    key = await _key(relay, expires="1s")
    assert await _status(relay, "POST", "/api/keys", key) == 403  # else it would live on
    async with relay.listen(key=key) as socket:
        code, _ = await socket.closed()
    assert code == 4401
    answer = await relay.rest("GET", "/api/me", key=key)
    assert (answer.status_code, answer.json()["error"]) == (401, "this API key has expired; make another")
    [listed] = [one for one in (await relay.rest("GET", "/api/keys")).json() if one["expires"]]
    assert (listed["readOnly"], listed["address"]) == (False, None)


@pytest.mark.parametrize(
    "scope",
    [
        {"expires": "30"},
        {"expires": "0d"},
        {"expires": "99999d"},
        {"address": "no address"},
        {"address": "x@y.test"},
    ],
)
async def test_a_scope_that_cannot_be_meant_is_refused(relay: Relay, scope: dict[str, str]) -> None:
    assert (await relay.rest("POST", "/api/keys", json=scope)).status_code == 400


@asynccontextmanager
async def _ended(relay: Relay, *keys: str) -> AsyncIterator[None]:
    """Sockets of these keys are closed with 4401 by what is done inside."""
    sockets = [await connect(relay.socket_url(key=key, addresses=SECOND), proxy=None) for key in keys]
    yield
    for socket in sockets:
        await socket.wait_closed()
        assert socket.close_code == 4401


async def test_an_account_that_the_file_names_no_more_is_out(redis_url: str, tmp_path: Path) -> None:
    """Also with keys that it made itself; and it is back when the file names it again."""
    only_other = ACCOUNTS_TOML[ACCOUNTS_TOML.rindex("[[accounts]]") :]
    async with harness.relay(redis_url, tmp_path) as relay:
        made = await _key(relay)
        accounts = Accounts.build(relay.process.service.store, relay.process.service.settings)
        path = tmp_path / "changed.toml"
        async with _ended(relay, KEY, made):
            await asyncio.to_thread(path.write_text, only_other)
            await file.load(path, accounts)
        for key in (KEY, made):
            answer = await relay.rest("GET", "/api/me", key=key)
            assert answer.status_code == 401
            assert "disabled" in answer.json()["error"]
        assert (await relay.rest("GET", "/api/me", key=OTHER_KEY)).status_code == 200
        await asyncio.to_thread(path.write_text, ACCOUNTS_TOML)
        await file.load(path, accounts)
        for key in (KEY, made):
            assert (await relay.rest("GET", "/api/me", key=key)).status_code == 200


async def test_a_domain_that_the_file_names_no_more_is_given_up(accounts: Accounts, tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    table = '[[accounts]]\nid = "carl"\ndomains = ["one.example", "two.example"]\n'
    await asyncio.to_thread(path.write_text, table)
    await file.load(path, accounts)
    await asyncio.to_thread(path.write_text, table.replace('"one.example", ', ""))
    await file.load(path, accounts)
    assert [domain.name for domain in await accounts.domains.list("carl")] == ["two.example"]


async def test_whom_the_operator_disabled_the_file_does_not_enable(accounts: Accounts, tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    await asyncio.to_thread(path.write_text, '[[accounts]]\nid = "carl"\nkeys = ["first-key-of-carl"]\n')
    await file.load(path, accounts)
    await closing.disable(accounts, "carl")
    await file.load(path, accounts)
    assert (await accounts.accounts.get("carl")).disabled_by == BY_OPERATOR
    with pytest.raises(Unauthorized):
        await accounts.keys.rights("first-key-of-carl")
    late = await accounts.keys.add("carl")
    assert await accounts.keys.find(late.key or "") is None
    await closing.enable(accounts, "carl")
    assert await accounts.keys.find(late.key or "") == await accounts.keys.find("first-key-of-carl") == "carl"


async def test_a_removed_account_leaves_nothing(relay: Relay) -> None:
    accounts = Accounts.build(relay.process.service.store, relay.process.service.settings)
    await relay.send("kept", SECOND)
    async with _ended(relay, KEY):
        await closing.remove(accounts, ACCOUNT)
    assert ACCOUNT not in [one.id for one in await accounts.accounts.list()]
    answer = await relay.post(b"Subject: nobody's\r\n\r\n", SECOND)
    assert answer.json()["rejected"]
    assert await accounts.addresses.list(ACCOUNT) == []
    assert await accounts.domains.list(ACCOUNT) == []


def _here(redis: RedisServer, *arguments: str) -> Any:
    ended = run(*arguments, "--json", RELAY_REDIS_URL=redis.url)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_verbs_of_the_operator(tmp_path: Path) -> None:
    with RedisServer() as redis, Service(redis.url, tmp_path) as service, service.listen() as listening:
        listening.err.until("connected to")
        assert _here(redis, "account", "disable", "user1")["disabled"] is True
        listening.err.until("the account of this API key is disabled")
        assert _here(redis, "account", "enable", "user1")["disabled"] is False
        bound = _here(
            redis, "key", "add", "user1", "--read-only", "--address", harness.ADDRESS, "--expires", "30d"
        )
        assert (bound["read_only"], bound["address"]) == (True, harness.ADDRESS)
        with service.listen(key=bound["key"]) as again:
            again.err.until("connected to")
        assert _here(redis, "account", "set-credits", "user1", "77")["address_credits"] == 77
        assert _here(redis, "account", "remove", "user1", "--yes")["removed"] is True


async def test_version_0_2_lets_no_key_in_that_may_less(tmp_path: Path) -> None:
    with RedisServer() as redis:
        with await BadDay.start(redis.url, tmp_path):
            bound = await asyncio.to_thread(_here, redis, "key", "add", ACCOUNT, "--address", ADDRESS)
        folder = tmp_path / "last"
        folder.mkdir()
        with await BadDay.start(redis.url, tmp_path, program=unpack(folder)) as old:
            async with httpx2.AsyncClient(base_url=old.url, trust_env=False) as http:
                for key, status in ((KEY, 200), (bound["key"], 401)):
                    answer = await http.get("/api/me", headers={"mailsac-key": key})
                    assert answer.status_code == status
