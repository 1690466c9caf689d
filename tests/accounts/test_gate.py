"""The gate: who may listen to what, and what a refusal says."""

from __future__ import annotations

import pytest

from relay import settings
from relay.accounts import Accounts, hash_key
from relay.accounts.reservation import Change
from relay.errors import FORBIDDEN, UNAUTHORIZED, Refused, Unauthorized, Unavailable
from relay.store import connect
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

KEY = "the-key-of-ann-in-tests"
HASH = hash_key(KEY)
USER1, USER2 = "user1@mailsac.com", "user2@mailsac.com"
NONE: frozenset[str] = frozenset()


@pytest.fixture
async def accounts(accounts: Accounts) -> Accounts:
    """Ann listens to user1 and own.example; user2 is off. Bob has bob@mailsac.com and his.example."""
    await accounts.keys.add("ann", KEY)
    await accounts.addresses.reserve("ann", USER1, Change(enablews=True))
    await accounts.addresses.reserve("ann", USER2)
    await accounts.addresses.reserve("bob", "bob@mailsac.com", Change(enablews=True))
    await accounts.domains.declare("ann", "own.example")
    await accounts.domains.declare("bob", "his.example")
    return accounts


@pytest.mark.parametrize("claimed", [None, "ann"])
async def test_the_owner_is_let_in(accounts: Accounts, claimed: str | None) -> None:
    own, domains = frozenset({USER1}), frozenset({"own.example"})
    assert await accounts.gate.admit(HASH, claimed, own, domains) == "ann"
    assert await accounts.gate.admit(HASH, claimed, own, NONE) == "ann"
    assert await accounts.gate.admit(HASH, claimed, NONE, domains) == "ann"
    assert await accounts.gate.admit(HASH, claimed, NONE, NONE) == "ann"


@pytest.mark.parametrize("key_hash", [hash_key("another"), hash_key(""), "", KEY, "\n"])
async def test_an_unknown_key_is_refused(accounts: Accounts, key_hash: str) -> None:
    with pytest.raises(Refused) as refused:
        await accounts.gate.admit(key_hash, None, frozenset({USER1}), NONE)
    assert (refused.value.close, refused.value.text) == (UNAUTHORIZED, "this API key is unknown or revoked")


@pytest.mark.parametrize("claimed", ["bob", "", "carl", "Ann", "\ud800"])
async def test_another_id_than_the_keys_is_refused(accounts: Accounts, claimed: str) -> None:
    with pytest.raises(Refused, match="_id is not the account of this API key") as refused:
        await accounts.gate.admit(HASH, claimed, frozenset({USER1}), NONE)
    assert refused.value.close == UNAUTHORIZED


async def test_a_refusal_names_everything_and_tells_nothing_of_others(accounts: Accounts) -> None:
    wanted = frozenset({USER1, USER2, "bob@mailsac.com", "free@mailsac.com", "x@own.example"})
    with pytest.raises(Refused) as refused:
        await accounts.gate.admit(
            HASH, "ann", wanted, frozenset({"own.example", "his.example", "nobodys.example"})
        )
    assert refused.value.close == FORBIDDEN
    assert refused.value.text.split("; ") == [
        "bob@mailsac.com: not reserved by this account",
        "free@mailsac.com: not reserved by this account",
        "user2@mailsac.com: forwarding is off",
        'switch it on with PUT /api/addresses/user2@mailsac.com {"enablews": true}',
        "x@own.example: not reserved by this account",
        "his.example: not owned by this account",
        "nobodys.example: not owned by this account",
    ]


async def test_what_ended_is_refused(accounts: Accounts) -> None:
    await accounts.addresses.update("ann", USER1, Change(enablews=False))
    with pytest.raises(Refused, match=r"user1@mailsac\.com: forwarding is off"):
        await accounts.gate.admit(HASH, None, frozenset({USER1}), NONE)
    await accounts.addresses.release("ann", USER1)
    with pytest.raises(Refused, match=r"user1@mailsac\.com: not reserved"):
        await accounts.gate.admit(HASH, None, frozenset({USER1}), NONE)
    await accounts.domains.remove("ann", "own.example")
    with pytest.raises(Refused, match=r"own\.example: not owned"):
        await accounts.gate.admit(HASH, None, NONE, frozenset({"own.example"}))
    await accounts.keys.revoke("ann", KEY)
    with pytest.raises(Refused) as refused:
        await accounts.gate.admit(HASH, None, NONE, NONE)
    assert refused.value.close == UNAUTHORIZED


async def test_a_pending_domain_is_not_owned(accounts: Accounts) -> None:
    await accounts.domains.add("ann", "pending.example")
    with pytest.raises(Refused, match=r"pending\.example: not owned"):
        await accounts.gate.admit(HASH, None, NONE, frozenset({"pending.example"}))


async def test_no_key_at_all_is_told_apart(accounts: Accounts) -> None:
    with pytest.raises(Unauthorized, match="no API key; send it in the header"):
        await accounts.gate.account_of("")


async def test_while_redis_is_away_nobody_is_let_in_or_refused() -> None:
    with RedisServer() as server:
        store = connect(server.url, timeout_seconds=0.2)
        accounts = Accounts.build(store, settings.load({}))
        await accounts.accounts.create("ann")
        await accounts.keys.add("ann", KEY)
        for end, back in ((server.pause, server.resume), (server.kill, server.start)):
            end()
            with pytest.raises(Unavailable):
                await accounts.gate.admit(HASH, None, NONE, NONE)
            with pytest.raises(Unavailable):
                await accounts.gate.account_of(KEY)
            back()
        await store.close()
