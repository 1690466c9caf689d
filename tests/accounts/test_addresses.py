"""Addresses: who may have which, and what happens to the mail when they change hands."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from relay import clock
from relay.accounts import Accounts
from relay.accounts.addresses import Addresses
from relay.accounts.reservation import Change, Reservation
from relay.accounts.shared_domains import SharedDomains
from relay.errors import BadRequest, RelayError, Unauthorized
from relay.store import Store, keys
from relay.store.notices import Kind, Notice
from tests.accounts.control import Control

pytestmark = pytest.mark.anyio

USER1 = "user1@mailsac.com"
ON = Change(enablews=True)


async def test_a_reserved_address_is_listed_and_off(accounts: Accounts, store: Store) -> None:
    reserved = await accounts.addresses.reserve("ann", USER1)
    assert (reserved.owner, reserved.enablews) == ("ann", False)
    assert reserved.created_ms == reserved.updated_ms > 1_700_000_000_000
    assert await accounts.addresses.list("ann") == [reserved] == [await accounts.addresses.get("ann", USER1)]
    assert await accounts.addresses.list("bob") == []
    # Exactly what publish.lua reads.
    assert await store.client.hmget(keys.address(USER1), ["owner", "enablews"]) == [b"ann", b"0"]


async def test_members_can_be_set_with_the_reservation_and_changed(accounts: Accounts, store: Store) -> None:
    first = Change(enablews=True, info="für Tests\x00", webhook="https://example.com/hook")
    reserved = await accounts.addresses.reserve("ann", USER1, first)
    assert await accounts.addresses.get("ann", USER1) == reserved
    assert (reserved.enablews, reserved.info, reserved.webhook) == (
        True,
        "für Tests\x00",
        "https://example.com/hook",
    )
    second = Change(info="", forward="a@b.example", webhook_slack="https://s.example", webhook_slack_to_from=True)
    changed = await accounts.addresses.update("ann", USER1, second)
    assert changed == replace(
        reserved,
        info="",
        forward="a@b.example",
        webhook_slack="https://s.example",
        webhook_slack_to_from=True,
        updated_ms=changed.updated_ms,
    )
    assert changed.updated_ms >= reserved.updated_ms
    assert await store.client.hget(keys.address(USER1), "enablews") == b"1"


async def test_an_address_has_one_owner(accounts: Accounts) -> None:
    await accounts.addresses.reserve("ann", USER1)
    with pytest.raises(BadRequest, match=r"user1@mailsac\.com is reserved by this account already"):
        await accounts.addresses.reserve("ann", USER1)
    for call in (
        accounts.addresses.reserve("bob", USER1),
        accounts.addresses.get("bob", USER1),
        accounts.addresses.update("bob", USER1, ON),
        accounts.addresses.release("bob", USER1),
    ):
        with pytest.raises(Unauthorized, match=r"user1@mailsac\.com belongs to another account") as refused:
            await call
        assert "ann" not in str(refused.value)
    assert await accounts.addresses.list("bob") == []
    assert [r.address for r in await accounts.addresses.list("ann")] == [USER1]


async def test_a_free_address_has_no_owner_and_cannot_be_changed(accounts: Accounts) -> None:
    assert await accounts.addresses.get("ann", USER1) == Reservation(address=USER1, owner="")
    for call in (accounts.addresses.update("ann", USER1, ON), accounts.addresses.release("ann", USER1)):
        with pytest.raises(
            BadRequest, match=r"not reserved by this account; reserve it with POST /api/addresses/"
        ):
            await call


async def test_a_domain_must_be_served_or_owned(accounts: Accounts) -> None:
    with pytest.raises(BadRequest, match=r"POST /api/domains/own\.example, or choose an address on mailsac\.com"):
        await accounts.addresses.reserve("ann", "a@own.example")
    await accounts.domains.declare("ann", "own.example")
    await accounts.addresses.reserve("ann", "a@own.example")
    with pytest.raises(BadRequest, match=r"own\.example is neither served here nor verified as yours"):
        await accounts.addresses.reserve("bob", "b@own.example")
    with pytest.raises(BadRequest, match="neither served"):
        await accounts.addresses.reserve("ann", "a@sub.own.example")


async def test_a_pending_domain_is_not_enough(accounts: Accounts) -> None:
    await accounts.domains.add("ann", "own.example")
    with pytest.raises(BadRequest, match="neither served here nor verified"):
        await accounts.addresses.reserve("ann", "a@own.example")


async def test_credits_are_counted_and_come_back_with_a_release(accounts: Accounts) -> None:
    await accounts.accounts.update("ann", address_credits=2)
    await accounts.addresses.reserve("ann", USER1)
    await accounts.addresses.reserve("ann", "user2@mailsac.com")
    with pytest.raises(BadRequest, match="2 of 2 are used, 0 are left and 1 needed"):
        await accounts.addresses.reserve("ann", "user3@mailsac.com")
    await accounts.addresses.release("ann", USER1)
    await accounts.addresses.reserve("ann", "user3@mailsac.com")
    assert [r.address for r in await accounts.addresses.list("ann")] == ["user2@mailsac.com", "user3@mailsac.com"]


async def test_fewer_credits_than_used_refuse_more_and_take_nothing(accounts: Accounts) -> None:
    await accounts.addresses.reserve_bulk("ann", ["a@mailsac.com", "b@mailsac.com"])
    await accounts.accounts.update("ann", address_credits=1)
    with pytest.raises(BadRequest, match="2 of 1 are used, 0 are left"):
        await accounts.addresses.reserve("ann", "c@mailsac.com")
    assert len(await accounts.addresses.list("ann")) == 2


async def test_a_refused_reservation_costs_no_credit(accounts: Accounts) -> None:
    await accounts.accounts.update("bob", address_credits=1)
    await accounts.addresses.reserve("ann", USER1)
    for address in (USER1, "a@elsewhere.example"):
        with pytest.raises(RelayError):
            await accounts.addresses.reserve("bob", address)
    await accounts.addresses.reserve("bob", "user2@mailsac.com")


async def test_availability_tells_free_owned_and_served(accounts: Accounts) -> None:
    assert await accounts.addresses.availability("ann", USER1) == (True, False)
    assert await accounts.addresses.availability("ann", "a@elsewhere.example") == (False, False)
    await accounts.addresses.reserve("ann", USER1)
    for account in ("ann", "bob"):
        assert await accounts.addresses.availability(account, USER1) == (False, True)


async def test_bulk_reserves_all(accounts: Accounts) -> None:
    names = [f"user{n:03}@mailsac.com" for n in range(50)]
    assert [r.address for r in await accounts.addresses.reserve_bulk("ann", names[::-1])] == names[::-1]
    assert [r.address for r in await accounts.addresses.list("ann")] == names


@pytest.mark.parametrize(
    ("wanted", "error", "text"),
    [
        (["a@mailsac.com", USER1, "b@mailsac.com"], Unauthorized, "user1@mailsac.com belongs to another account"),
        (
            ["a@mailsac.com", "mine@mailsac.com"],
            BadRequest,
            "mine@mailsac.com is reserved by this account already",
        ),
        (["a@mailsac.com", "b@mailsac.com", "a@mailsac.com"], BadRequest, "a@mailsac.com is named more than once"),
        (["a@mailsac.com", "b@elsewhere.example"], BadRequest, "elsewhere.example is neither served"),
        ([f"u{n}@mailsac.com" for n in range(50)], BadRequest, "1 of 50 are used, 49 are left and 50 needed"),
        ([f"u{n}@mailsac.com" for n in range(101)], BadRequest, "give 1 to 100 addresses, not 101"),
        ([], BadRequest, "give 1 to 100 addresses, not 0"),
    ],
)
async def test_bulk_reserves_all_or_none(
    accounts: Accounts, wanted: list[str], error: type[RelayError], text: str
) -> None:
    await accounts.addresses.reserve("ann", USER1)
    await accounts.addresses.reserve("bob", "mine@mailsac.com")
    with pytest.raises(error) as refused:
        await accounts.addresses.reserve_bulk("bob", wanted)
    assert text in str(refused.value)
    assert [r.address for r in await accounts.addresses.list("bob")] == ["mine@mailsac.com"]
    await accounts.addresses.reserve_bulk("bob", [f"u{n}@mailsac.com" for n in range(49)])  # no credit was lost


async def test_switching_off_and_releasing_are_told_to_every_process(accounts: Accounts, control: Control) -> None:
    notice = Notice(Kind.ADDRESS, USER1)
    await accounts.addresses.reserve("ann", USER1, ON)
    await accounts.addresses.update("ann", USER1, Change(info="still on"))
    assert await control.heard() == []
    await accounts.addresses.update("ann", USER1, Change(enablews=False))
    assert await control.heard() == [notice]
    await accounts.addresses.update("ann", USER1, Change(enablews=False))
    await accounts.addresses.update("ann", USER1, ON)
    assert await control.heard() == []
    await accounts.addresses.release("ann", USER1)
    assert await control.heard() == [notice]


async def _letter(store: Store, inbox: str, ms: int = 0) -> None:
    """A letter and its row, in their counts, and a copy that ann starred."""
    ms = ms or clock.now_ms()
    place = f"abcdef-{ms}-1"
    await store.ask(
        ("XADD", keys.index(inbox), f"{ms}-1", "o", "ann", "e", "abcdef", "b", 30, "r", "row"),
        ("SET", keys.letter(inbox, place), "letter"),
        ("SET", keys.starred_letter(inbox, f"0123456789{place} ann"), "letter"),
        ("HSET", keys.starred(inbox), f"0123456789{place} ann", "row"),
        ("HSET", keys.meta(inbox), "epoch", "abcdef", "seq", 1, "ms", ms),
        *(("HINCRBY", keys.meta(inbox), *count) for count in (("letters", 1), ("bytes", 30))),
        *(("HINCRBY", keys.ACCOUNT_KEPT % "ann", *count) for count in (("letters", 1), ("bytes", 30))),
    )


async def _old_letter(store: Store, inbox: str, entry: str) -> None:
    """Of version 0.2, not yet taken into the index."""
    await store.ask(("XADD", keys.letterbox(inbox), entry, "o", "ann", "m", "{}"))
    [count] = await store.ask(("ZCARD", keys.letter_ids(inbox)))
    await store.ask(("ZADD", keys.letter_ids(inbox), count, f"0123456789abcdef-{entry} ann"))


async def _names(store: Store, inbox: str) -> list[str]:
    [found] = await store.ask(("KEYS", f"relay:{{{inbox}}}:*"))
    return sorted(name.decode() for name in found)


async def _kept(store: Store) -> dict[bytes, bytes]:
    [counts] = await store.ask(("HGETALL", keys.ACCOUNT_KEPT % "ann"))
    return cast("dict[bytes, bytes]", counts)


async def test_a_release_takes_the_stored_mail_along(accounts: Accounts, store: Store) -> None:
    await accounts.addresses.reserve("ann", USER1, ON)
    for ms in range(1, 500):  # more than one step takes
        await _letter(store, USER1, ms)
    await _letter(store, "another@mailsac.com")
    await store.ask(("XADD", keys.letterbox(USER1), "*", "o", "ann", "m", "{}"))
    await accounts.addresses.release("ann", USER1)
    assert await _names(store, USER1) == []
    assert await _kept(store) == {b"letters": b"1", b"bytes": b"30"}


async def test_mail_from_before_the_reservation_is_never_seen(accounts: Accounts, store: Store) -> None:
    for ms in range(1, 500):
        await _letter(store, USER1, ms)
    await store.ask(("XADD", keys.letterbox(USER1), "*", "o", "ann", "m", "{}"))
    await accounts.addresses.reserve("bob", USER1)
    assert await _names(store, USER1) == [keys.address(USER1)]
    assert await _kept(store) == {}


async def test_on_an_own_domain_the_mail_that_it_caught_stays_and_older_mail_goes(
    accounts: Accounts, store: Store
) -> None:
    inbox = "a@own.example"
    await _letter(store, inbox, 1000)  # caught for a former owner of the domain
    await _old_letter(store, inbox, "1000-1")
    await accounts.domains.declare("ann", "own.example")
    await _letter(store, inbox)
    await _old_letter(store, inbox, "*")
    await accounts.addresses.reserve("ann", inbox)
    [counts] = await store.ask(("HMGET", keys.meta(inbox), "letters", "bytes"))
    assert (counts, await _kept(store)) == ([b"1", b"30"], {b"letters": b"1", b"bytes": b"30"})
    assert await store.ask(("XLEN", keys.index(inbox)), ("XRANGE", keys.index(inbox), "-", "1000")) == [1, []]
    assert await store.ask(("EXISTS", keys.letter(inbox, "abcdef-1000-1"))) == [0]
    [left, [known]] = await store.ask(
        ("XRANGE", keys.letterbox(inbox), "-", "+"), ("ZRANGE", keys.letter_ids(inbox), 0, -1)
    )
    assert (len(left), left[0][0] == b"1000-1", b"-1000-1 " in known) == (1, False, False)


async def test_no_member_of_a_former_owner_is_left(accounts: Accounts) -> None:
    await accounts.addresses.reserve(
        "ann", USER1, Change(enablews=True, info="secret", webhook="https://ann.example")
    )
    await accounts.addresses.release("ann", USER1)
    reserved = await accounts.addresses.reserve("bob", USER1)
    assert (reserved.enablews, reserved.info, reserved.webhook) == (False, "", "")
    assert await accounts.addresses.get("bob", USER1) == reserved


async def test_a_place_that_a_crash_left_over_is_cleared_and_one_under_way_is_not(
    accounts: Accounts, store: Store
) -> None:
    await accounts.accounts.update("ann", address_credits=1)
    clock = {"ms": 1_800_000_000_000}
    addresses = Addresses(store, shared=SharedDomains(("mailsac.com",)), now_ms=lambda: clock["ms"])
    # What remains when a process ends between taking its place and claiming the address.
    await store.client.zadd(keys.account_addresses("ann"), {"ghost@mailsac.com": clock["ms"]})
    assert await addresses.list("ann") == []
    with pytest.raises(BadRequest, match="1 of 1 are used"):
        await addresses.reserve("ann", USER1)
    clock["ms"] += 10 * 60 * 1000
    await addresses.reserve("ann", USER1)
    assert [r.address for r in await addresses.list("ann")] == [USER1]


async def test_a_release_that_was_cut_off_gives_its_credit_back(accounts: Accounts, store: Store) -> None:
    await accounts.accounts.update("ann", address_credits=1)
    addresses = Addresses(store, shared=SharedDomains(("mailsac.com",)), now_ms=lambda: 1_000)
    await addresses.reserve("ann", USER1)
    await store.client.delete(keys.address(USER1))  # the hash decides, and it went first
    await accounts.addresses.reserve("ann", "user2@mailsac.com")
    assert [r.address for r in await accounts.addresses.list("ann")] == ["user2@mailsac.com"]


async def test_a_declared_address_needs_neither_domain_nor_credits(accounts: Accounts) -> None:
    await accounts.accounts.update("ann", address_credits=0)
    await accounts.addresses.declare("ann", "a@elsewhere.example", enablews=True)
    (declared,) = await accounts.addresses.list("ann")
    assert (declared.address, declared.enablews) == ("a@elsewhere.example", True)
    with pytest.raises(BadRequest, match="reserved by this account already"):
        await accounts.addresses.reserve("ann", "a@elsewhere.example")
    with pytest.raises(Unauthorized):
        await accounts.addresses.declare("bob", "a@elsewhere.example", enablews=True)
    await accounts.accounts.update("bob", address_credits=1)
    await accounts.addresses.reserve("bob", USER1)  # the refused declaration took no place


async def test_a_declared_switch_counts_when_it_is_new(accounts: Accounts, control: Control) -> None:
    async def is_on() -> bool:
        return (await accounts.addresses.get("ann", USER1)).enablews

    await accounts.addresses.declare("ann", USER1, enablews=True)
    await accounts.addresses.update("ann", USER1, Change(enablews=False, info="kept"))
    await accounts.addresses.declare("ann", USER1, enablews=True)  # a restart
    assert not await is_on()
    await accounts.addresses.declare("ann", USER1, enablews=False)
    await accounts.addresses.declare("ann", USER1, enablews=True)  # the operator changed his mind, twice
    assert await is_on()
    await control.heard()
    await accounts.addresses.declare("ann", USER1, enablews=False)
    assert not await is_on()
    assert await control.heard() == [Notice(Kind.ADDRESS, USER1)]
    assert (await accounts.addresses.get("ann", USER1)).info == "kept"
