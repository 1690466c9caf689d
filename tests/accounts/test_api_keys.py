"""API keys: shown once, kept as hashes, ended at once everywhere."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.accounts import Accounts, hash_key
from relay.errors import BadRequest, NotFound, Unauthorized
from relay.store import Store
from relay.store import keys as redis_keys
from relay.store.notices import Kind, Notice
from tests.accounts.control import Control

pytestmark = pytest.mark.anyio

GIVEN = "a-key-that-somebody-chose"


async def test_a_generated_key_opens_the_account_and_is_shown_once(accounts: Accounts) -> None:
    new = await accounts.keys.add("ann", label="laptop")
    assert new.key is not None
    assert re.fullmatch(r"rk_[A-Za-z0-9_-]{32}", new.key)
    assert await accounts.keys.find(new.key) == "ann"
    assert await accounts.gate.account_of(new.key) == "ann"
    (row,) = await accounts.keys.list("ann")
    assert (row.id, row.label, row.source) == (hash_key(new.key)[:12], "laptop", "cli")
    assert new.id == row.id
    assert row.created_ms > 1_700_000_000_000
    assert new.key not in repr(new) + repr(row)


async def test_no_key_is_kept_in_the_store(accounts: Accounts, store: Store) -> None:
    made = (await accounts.keys.add("ann")).key
    await accounts.keys.add("ann", GIVEN)
    assert made is not None
    async for name in store.client.scan_iter():
        commands: dict[Any, str] = {b"hash": "HGETALL", b"set": "SMEMBERS", b"string": "GET"}
        content = await store.ask((commands[await store.client.type(name)], name))
        assert made not in f"{name!r} {content!r}"
        assert GIVEN not in f"{name!r} {content!r}"


async def test_an_account_has_several_keys_given_as_text_or_hash(accounts: Accounts) -> None:
    assert (await accounts.keys.add("ann", GIVEN)).key is None
    await accounts.keys.add("ann", f"sha256:{hash_key('another-key-of-ann')}", source="file")
    await accounts.keys.add("ann")
    assert await accounts.keys.find(GIVEN) == await accounts.keys.find("another-key-of-ann") == "ann"
    assert [row.source for row in await accounts.keys.list("ann")].count("file") == 1
    assert len(await accounts.keys.list("ann")) == 3


async def test_adding_a_key_again_changes_nothing(accounts: Accounts) -> None:
    await accounts.keys.add("ann", GIVEN, label="first")
    await accounts.keys.add("ann", GIVEN, label="second")
    assert [row.label for row in await accounts.keys.list("ann")] == ["first"]


async def test_a_key_of_one_account_cannot_be_given_to_another(accounts: Accounts, store: Store) -> None:
    await accounts.keys.add("ann", GIVEN)
    with pytest.raises(BadRequest, match="belongs to another account"):
        await accounts.keys.add("bob", GIVEN)
    assert await accounts.keys.find(GIVEN) == "ann"
    assert await store.client.exists(redis_keys.account_keys("bob")) == 0


async def test_an_addition_that_was_cut_off_shows_no_key_of_another(accounts: Accounts, store: Store) -> None:
    await accounts.keys.add("ann", GIVEN)
    await store.client.sadd(redis_keys.account_keys("bob"), hash_key(GIVEN), hash_key("of nobody"))
    assert await accounts.keys.list("bob") == []
    with pytest.raises(NotFound):
        await accounts.keys.revoke("bob", GIVEN)


async def test_a_row_that_is_not_of_this_key_opens_nothing(accounts: Accounts, store: Store) -> None:
    await accounts.keys.add("ann", GIVEN)
    await store.client.hset(redis_keys.api_key(hash_key(GIVEN)), "hash", hash_key("another"))
    assert await accounts.keys.find(GIVEN) is None


async def test_one_of_two_accounts_gets_a_key_that_both_add_at_once(accounts: Accounts) -> None:
    outcomes = await asyncio.gather(
        *(accounts.keys.add(("ann", "bob")[n % 2], GIVEN) for n in range(20)), return_exceptions=True
    )
    owner = await accounts.keys.find(GIVEN)
    other = "bob" if owner == "ann" else "ann"
    assert sum(isinstance(outcome, BadRequest) for outcome in outcomes) == 10
    assert [len(await accounts.keys.list(account)) for account in (owner or "", other)] == [1, 0]


@pytest.mark.parametrize("how", ["id", "key", "hash"])
async def test_revoking_ends_the_key_and_tells_every_process(
    accounts: Accounts, control: Control, how: str
) -> None:
    await accounts.keys.add("ann", GIVEN)
    other = await accounts.keys.add("ann")
    name = {"id": hash_key(GIVEN)[:12], "key": GIVEN, "hash": hash_key(GIVEN)}[how]
    await accounts.keys.revoke("ann", name)
    assert await accounts.keys.find(GIVEN) is None
    assert [row.id for row in await accounts.keys.list("ann")] == [other.id]
    assert await control.heard() == [Notice(Kind.KEY, hash_key(GIVEN))]
    with pytest.raises(Unauthorized, match="unknown or revoked"):
        await accounts.gate.account_of(GIVEN)


async def test_the_last_key_stays_unless_it_is_meant_and_what_nobody_has_is_none(
    accounts: Accounts, store: Store
) -> None:
    only = await accounts.keys.add("ann", GIVEN)
    # of an addition, and of a revocation, that were cut off
    await store.client.sadd(redis_keys.account_keys("ann"), hash_key("of nobody"), f"-{hash_key('of nobody too')}")
    with pytest.raises(BadRequest, match="the only key"):
        await accounts.keys.revoke("ann", only.id, last=False)
    assert await accounts.keys.find(GIVEN) == "ann"
    await accounts.keys.revoke("ann", only.id)
    assert await accounts.keys.find(GIVEN) is None


async def test_a_revocation_that_was_cut_off_can_be_asked_for_again(accounts: Accounts, store: Store) -> None:
    await accounts.keys.add("ann")
    await accounts.keys.add("ann", GIVEN)
    one = hash_key(GIVEN)
    await store.client.srem(redis_keys.account_keys("ann"), one)
    await store.client.sadd(redis_keys.account_keys("ann"), f"-{one}")
    assert one in [row.hash for row in await accounts.keys.list("ann")]
    await accounts.keys.revoke("ann", one, last=False)
    assert await accounts.keys.find(GIVEN) is None
    assert await store.client.scard(redis_keys.account_keys("ann")) == 1


async def test_only_the_own_keys_can_be_revoked(accounts: Accounts, control: Control) -> None:
    await accounts.keys.add("ann", GIVEN)
    for name in (GIVEN, hash_key(GIVEN)[:12], "", "\ud800", "x" * 100_000):
        with pytest.raises(NotFound, match="has no such key"):
            await accounts.keys.revoke("bob", name)
    assert await accounts.keys.find(GIVEN) == "ann"
    assert await control.heard() == []


@pytest.mark.parametrize(
    "key", ["", "with space in the key", "ümlaut-in-the-key-somewhere", "x" * 201, "sha256:12", "\ud800" * 20]
)
async def test_a_poor_key_is_refused_without_repeating_it(accounts: Accounts, key: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await accounts.keys.add("ann", key)
    assert refused.value.member == "key"
    assert not key or key not in str(refused.value)
    assert await accounts.keys.list("ann") == []


async def test_a_key_needs_an_account(accounts: Accounts) -> None:
    with pytest.raises(NotFound, match="no account carl"):
        await accounts.keys.add("carl")


@pytest.mark.parametrize("key", ["", "ключ", "\x00", "\ud800", "x" * 1_000_000, "sha256:" + "0" * 64])
async def test_any_text_is_just_an_unknown_key(accounts: Accounts, key: str) -> None:
    await accounts.keys.add("ann", "sha256:" + hash_key("the-key-behind-the-hash"))
    assert await accounts.keys.find(key) is None
    with pytest.raises(Unauthorized):
        await accounts.gate.account_of(key)


async def test_the_hash_is_not_a_key(accounts: Accounts) -> None:
    await accounts.keys.add("ann", GIVEN)
    assert await accounts.keys.find(hash_key(GIVEN)) is None
    assert await accounts.keys.find(f"sha256:{hash_key(GIVEN)}") is None


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_hash_key_takes_any_text_and_tells_texts_apart(one: str, other: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", hash_key(one))
    assert (hash_key(one) == hash_key(other)) == (one == other)
