"""Accounts, keys, addresses and domains from the command line, on the Redis of a service."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from relay.cli import exits
from tests.accounts.dns_server import DnsServer
from tests.cli.command import run
from tests.cli.conftest import Here
from tests.redis_server import RedisServer

Settings = dict[str, str]


@pytest.fixture
def settings(redis: RedisServer) -> Settings:
    return {"RELAY_REDIS_URL": redis.url, "RELAY_DOMAINS": "mailsac.com"}


@pytest.fixture
def account(here: Here, settings: Settings) -> str:
    """An account of the test's own, without keys and addresses."""
    name = f"account-{secrets.token_hex(4)}"
    assert here("account", "add", name, "--no-key", "--credits", "2", **settings).returncode == 0
    return name


@pytest.fixture
def asked(here: Here, settings: Settings) -> Callable[..., Any]:
    """Runs a command that ends well; its JSON."""

    def ask(*arguments: str) -> Any:
        ended = here(*arguments, "--json", **settings)
        assert (ended.returncode, ended.stderr) == (exits.DONE, "")
        return json.loads(ended.stdout)

    return ask


def test_an_account_with_its_first_key(here: Here, asked: Callable[..., Any], settings: Settings) -> None:
    name = f"account-{secrets.token_hex(4)}"
    added = asked("account", "add", name, "--credits", "7")
    assert (added["id"], added["address_credits"]) == (name, 7)
    assert added["key"].startswith("rk_")
    assert [key["id"] for key in asked("key", "list", name)] == [added["key_id"]]
    assert name in [account["id"] for account in asked("account", "list")]
    again = here("account", "add", name, **settings)
    assert (again.returncode, again.stdout) == (exits.FAILED, "")
    assert again.stderr == f"relay: account {name} exists already\n"


def test_a_key_is_shown_once_and_revoked_by_its_id(
    here: Here, asked: Callable[..., Any], account: str, settings: Settings
) -> None:
    said = here("key", "add", account, "--label", "laptop", **settings).stdout
    key = said.split()[-1]
    assert key.startswith("rk_")
    listed = here("key", "list", account, **settings).stdout
    key_id, label, source, _, limits = listed.rstrip("\n").split("\t")
    assert (label, source, limits) == ("laptop", "cli", "")
    assert key not in listed
    assert asked("key", "revoke", account, key_id)["id"] == key_id
    assert asked("key", "list", account) == []
    again = here("key", "revoke", account, key_id, **settings)
    assert again.returncode == exits.FAILED
    assert again.stderr == f"relay: account {account} has no such key\n"


def test_an_address_over_its_life(here: Here, asked: Callable[..., Any], account: str, settings: Settings) -> None:
    address = f"{account}@mailsac.com"
    added = asked("address", "add", account, address.upper())
    assert (added["address"], added["owner"], added["enablews"]) == (address, account, True)
    assert asked("address", "add", account, f"quiet-{address}", "--no-ws")["enablews"] is False
    assert [one["address"] for one in asked("address", "list", account)] == [address, f"quiet-{address}"]
    shown = here("address", "list", account, **settings).stdout.splitlines()
    assert [line.split("\t")[:2] for line in shown] == [[address, "on"], [f"quiet-{address}", "off"]]
    assert asked("address", "release", account, address) == {"address": address, "released": True}
    assert here("address", "release", account, address, **settings).returncode == exits.FAILED


def test_the_rules_of_rest_hold_unless_they_are_forced(
    here: Here, asked: Callable[..., Any], account: str, settings: Settings
) -> None:
    address = f"{account}@elsewhere.test"
    refused = here("address", "add", account, address, **settings)
    assert refused.returncode == exits.FAILED
    assert refused.stderr.startswith(f"relay: {address} cannot be reserved: ")
    assert asked("address", "add", account, address, "--force")["owner"] == account
    assert asked("domain", "add", account, f"{account}.test", "--force")["verified"] is True


async def test_a_domain_over_its_life(here: Here, account: str, settings: Settings, anyio_backend: object) -> None:
    name = f"{account}.test"

    async def domain(verb: str, *flags: str) -> tuple[int, str, str]:
        ended = await asyncio.to_thread(here, "domain", verb, account, *flags, **settings, **dns_servers)
        return ended.returncode, ended.stdout, ended.stderr

    async with DnsServer() as dns:
        dns_servers = {"RELAY_DNS_SERVERS": dns.address}
        code, said, _ = await domain("add", name)
        assert code == exits.DONE
        record = said.splitlines()[-1]
        code, said, error = await domain("verify", name)
        assert (code, said.split()[-1]) == (exits.FAILED, record)
        assert error == f"relay: {name} is not verified: the DNS has no domain {name} (NXDOMAIN)\n"
        dns.txt[name] = [f'"{record}"']
        assert await domain("verify", name) == (exits.DONE, f"{name} belongs to {account}\n", "")
        assert await domain("list") == (exits.DONE, f"{name}\tyes\t{record}\n", "")
        assert await domain("remove", name) == (exits.DONE, f"{name} is removed\n", "")
        assert json.loads((await domain("list", "--json"))[1]) == []


NOBODY = [
    ("key", "add", "nobody"),
    ("key", "list", "nobody"),
    ("address", "add", "nobody", "nobody@mailsac.com"),
    ("address", "add", "nobody", "nobody@mailsac.com", "--force"),
    ("address", "list", "nobody"),
    ("domain", "add", "nobody", "example.com"),
    ("domain", "list", "nobody"),
]


@pytest.mark.parametrize("arguments", NOBODY, ids=" ".join)
def test_an_account_that_is_not_there_is_said(here: Here, arguments: tuple[str, ...], settings: Settings) -> None:
    ended = here(*arguments, **settings)
    assert (ended.returncode, ended.stdout) == (exits.FAILED, "")
    assert ended.stderr == "relay: there is no account nobody\n"


@pytest.mark.parametrize(
    "arguments",
    [("address", "add", "a", "no address"), ("domain", "add", "a", "no domain"), ("account", "add", "a b")],
)
def test_malformed_names_are_one_clean_line(here: Here, arguments: tuple[str, ...], settings: Settings) -> None:
    ended = here(*arguments, **settings)
    assert (ended.returncode, ended.stdout) == (exits.FAILED, "")
    assert len(ended.stderr.splitlines()) == 1


def test_the_embedded_store_is_nothing_to_work_on() -> None:
    ended = run("account", "list")
    assert (ended.returncode, ended.stdout) == (exits.MISCONFIGURED, "")
    assert ended.stderr.startswith("relay: this command needs RELAY_REDIS_URL: ")


def test_a_redis_that_is_away_is_exit_code_1() -> None:
    ended = run("account", "add", "a", RELAY_REDIS_URL="redis://user:pa55@127.0.0.1:1")
    assert (ended.returncode, ended.stdout) == (exits.FAILED, "")
    assert ended.stderr.startswith("relay: Redis cannot be reached")
    assert "pa55" not in ended.stderr
