"""Addresses, when several processes want them at once: every outcome is one that some order would give."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from relay.accounts import Accounts
from relay.accounts.reservation import Change
from relay.errors import BadRequest, RelayError, Unauthorized
from relay.store import Store, keys

pytestmark = pytest.mark.anyio

USER1 = "user1@mailsac.com"


async def _all(calls: list[Awaitable[Any]]) -> list[Any]:
    """What came of each, in order; an error that is not relay's is raised."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, RelayError):
            raise outcome
    return outcomes


async def _owned(store: Store, account_id: str, addresses: list[str]) -> list[str]:
    """The addresses whose hash, which decides, names the account."""
    owners = [await store.client.hget(keys.address(address), "owner") for address in addresses]
    return [a for a, owner in zip(addresses, owners, strict=True) if owner == account_id.encode()]


async def test_of_fifty_reservations_by_two_accounts_exactly_one_wins(accounts: Accounts) -> None:
    outcomes = await _all([accounts.addresses.reserve(("ann", "bob")[n % 2], USER1) for n in range(50)])
    (won,) = [outcome for outcome in outcomes if not isinstance(outcome, RelayError)]
    own = outcomes[0 if won.owner == "ann" else 1 :: 2]
    other = outcomes[1 if won.owner == "ann" else 0 :: 2]
    assert sum(isinstance(outcome, BadRequest) for outcome in own) == 24
    assert sum(isinstance(outcome, Unauthorized) for outcome in other) == 25
    loser = {"ann": "bob", "bob": "ann"}[won.owner]
    assert await accounts.addresses.list(won.owner) == [won]
    assert await accounts.addresses.list(loser) == []
    await accounts.accounts.update(loser, address_credits=1)
    await accounts.addresses.reserve(loser, "user2@mailsac.com")  # it paid nothing for losing


async def test_credits_are_never_exceeded(accounts: Accounts, store: Store) -> None:
    await accounts.accounts.update("ann", address_credits=5)
    names = [f"u{n}@mailsac.com" for n in range(40)]
    outcomes = await _all([accounts.addresses.reserve("ann", name) for name in names])
    won = [outcome.address for outcome in outcomes if not isinstance(outcome, RelayError)]
    assert len(won) == 5
    assert [r.address for r in await accounts.addresses.list("ann")] == sorted(won)
    assert await _owned(store, "ann", names) == won


async def test_bulks_that_overlap_are_whole_or_nothing(accounts: Accounts, store: Store) -> None:
    names = [f"u{n:02}@mailsac.com" for n in range(40)]
    wanted = {
        "ann": [names[n : n + 10] for n in range(0, 31, 3)],
        "bob": [names[n : n + 10] for n in range(0, 31, 2)],
    }
    for account_id in wanted:
        await accounts.accounts.update(account_id, address_credits=1000)
    order = [(account_id, part) for account_id, parts in wanted.items() for part in parts]
    outcomes = await _all([accounts.addresses.reserve_bulk(account_id, part) for account_id, part in order])
    for account_id in wanted:
        won = [
            address
            for (who, part), outcome in zip(order, outcomes, strict=True)
            for address in part
            if who == account_id and not isinstance(outcome, RelayError)
        ]
        assert len(won) == len(set(won))
        assert [r.address for r in await accounts.addresses.list(account_id)] == sorted(won)
        assert await _owned(store, account_id, names) == sorted(won)
        used = await store.client.zcard(keys.account_addresses(account_id))
        assert used == len(won)


async def test_reserving_while_releasing_loses_no_address_and_no_credit(accounts: Accounts, store: Store) -> None:
    async def again_and_again(call: Callable[[str, str], Awaitable[Any]]) -> None:
        for _ in range(100):
            with suppress(RelayError):
                await call("ann", USER1)

    for _ in range(5):
        calls = [accounts.addresses.reserve] * 3 + [accounts.addresses.release] * 2
        await asyncio.gather(*(again_and_again(call) for call in calls))
        owned = await _owned(store, "ann", [USER1])
        assert [r.address for r in await accounts.addresses.list("ann")] == owned
        assert await store.client.zcard(keys.account_addresses("ann")) == len(owned)


async def test_declaring_from_many_processes_reserves_once(accounts: Accounts) -> None:
    await _all([accounts.addresses.declare("ann", USER1, enablews=True) for _ in range(20)])
    (declared,) = await accounts.addresses.list("ann")
    assert (declared.owner, declared.enablews) == ("ann", True)


async def test_an_update_never_brings_a_released_address_back(accounts: Accounts, store: Store) -> None:
    for _ in range(20):
        await accounts.addresses.reserve("ann", USER1)
        await _all(
            [
                *(accounts.addresses.update("ann", USER1, Change(enablews=True)) for _ in range(3)),
                accounts.addresses.release("ann", USER1),
                *(accounts.addresses.update("ann", USER1, Change(enablews=True)) for _ in range(3)),
            ]
        )
        assert await store.client.exists(keys.address(USER1)) == 0
