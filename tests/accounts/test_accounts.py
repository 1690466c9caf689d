"""Accounts: ids, credits, and creation from several sides."""

from __future__ import annotations

import asyncio

import pytest

from relay import settings
from relay.accounts import Accounts
from relay.errors import BadRequest, NotFound, Unavailable
from relay.store import Store, connect, keys
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio


async def test_a_new_account_has_fifty_credits_and_is_listed(accounts: Accounts) -> None:
    created = await accounts.accounts.create("user1@mailsac.com")
    assert (created.id, created.address_credits) == ("user1@mailsac.com", 50)
    assert created.created_ms > 1_700_000_000_000
    assert [account.id for account in await accounts.accounts.list()] == ["ann", "bob", "user1@mailsac.com"]
    assert await accounts.accounts.get("user1@mailsac.com") == created


async def test_a_creation_that_was_cut_off_is_not_listed_and_can_be_repeated(
    accounts: Accounts, store: Store
) -> None:
    await store.client.sadd(keys.ACCOUNTS, "ghost")
    assert [account.id for account in await accounts.accounts.list()] == ["ann", "bob"]
    await accounts.accounts.create("ghost")


async def test_an_id_can_be_created_once_also_from_many_sides(accounts: Accounts) -> None:
    outcomes = await asyncio.gather(
        *(accounts.accounts.create("new", address_credits=n) for n in range(20)), return_exceptions=True
    )
    made = [outcome for outcome in outcomes if not isinstance(outcome, BadRequest)]
    assert made == [await accounts.accounts.get("new")]


async def test_update_and_put_set_the_credits_and_keep_the_rest(accounts: Accounts) -> None:
    before = await accounts.accounts.get("ann")
    assert (await accounts.accounts.update("ann", address_credits=3)).address_credits == 3
    put = await accounts.accounts.put("ann", address_credits=4)
    assert (put.address_credits, put.created_ms) == (4, before.created_ms)
    assert (await accounts.accounts.put("new", address_credits=5)).address_credits == 5


@pytest.mark.parametrize(
    "account_id", ["", " ", "a b", "a\n", "\nа", "x" * 65, "ä", "a/b", "a{b}", "\x00", "\ud800", "a:b"]
)
async def test_a_malformed_id_is_refused(accounts: Accounts, account_id: str) -> None:
    for call in (accounts.accounts.create, accounts.accounts.get):
        with pytest.raises(BadRequest, match="an account id is"):
            await call(account_id)


@pytest.mark.parametrize("count", [-1, 1_000_001])
async def test_credits_have_limits(accounts: Accounts, count: int) -> None:
    with pytest.raises(BadRequest, match="address credits are"):
        await accounts.accounts.create("new", address_credits=count)
    with pytest.raises(BadRequest, match="address credits are"):
        await accounts.accounts.update("ann", address_credits=count)


async def test_what_is_not_there_is_not_found(accounts: Accounts) -> None:
    with pytest.raises(NotFound, match="no account carl"):
        await accounts.accounts.get("carl")
    with pytest.raises(NotFound, match="no account carl"):
        await accounts.accounts.update("carl", address_credits=1)
    with pytest.raises(NotFound, match="no account carl"):
        await accounts.addresses.reserve("carl", "a@mailsac.com")
    assert [account.id for account in await accounts.accounts.list()] == ["ann", "bob"]


async def test_a_redis_that_hangs_is_unavailable_and_comes_back() -> None:
    with RedisServer() as server:
        store = connect(server.url, timeout_seconds=0.2)
        accounts = Accounts.build(store, settings.load({}))
        await accounts.accounts.create("ann")
        server.pause()
        with pytest.raises(Unavailable, match="Redis"):
            await accounts.accounts.get("ann")
        server.resume()
        assert (await accounts.accounts.get("ann")).id == "ann"
        await store.close()
