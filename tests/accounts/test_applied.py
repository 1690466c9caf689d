"""The digest of the accounts file: a start that finds it does nothing, and whatever a restart puts back it still does.

Each test is a process that starts: it asks whether the file is whole, and applies it when it is not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from relay.accounts import Accounts, domains, file
from relay.accounts.address_scripts import UNCLAIM
from relay.accounts.applied import AppliedFile
from relay.accounts.file import AccountsFile
from relay.accounts.reservation import Change
from relay.errors import BadRequest, ConfigError, Unavailable
from relay.store import Store, keys

pytestmark = pytest.mark.anyio

USER1, QUIET, OWN = "user1@mailsac.com", "quiet@mailsac.com", "own.example"
TEXT = f"""
[[accounts]]
id = "carl"
keys = ["first-key-of-carl", "second-key-of-carl"]
address_credits = 30
domains = ["{OWN}"]
addresses = [{{ address = "{USER1}", enablews = true }}, {{ address = "{QUIET}" }}]
"""


@dataclass
class Starts:
    """Processes that start one after the other, on one Redis."""

    store: Store
    accounts: Accounts

    async def start(self, text: str = TEXT, *, shared: tuple[str, ...] = ("mailsac.com",)) -> bool:
        """Whether it had to apply the file."""
        said, note = AccountsFile(Path("accounts.toml"), text.encode()), AppliedFile(self.store)
        digest = said.digest(shared)
        if await note.is_whole(digest):
            return False
        token = await note.begin()
        try:
            await file.apply(said.accounts(), self.accounts, token=token)
        except ConfigError:
            digest = ""
        assert await note.end(token, digest)
        return True


@pytest.fixture
async def starts(store: Store, accounts: Accounts) -> Starts:
    return Starts(store, accounts)


async def test_a_file_is_applied_once(starts: Starts) -> None:
    assert [await starts.start() for _ in range(3)] == [True, False, False]


async def test_another_file_is_applied_and_so_is_the_first_again(starts: Starts) -> None:
    other = TEXT.replace(QUIET, "other@mailsac.com")
    assert [await starts.start(text) for text in (TEXT, other, other, TEXT)] == [True, True, False, True]


async def test_other_shared_domains_are_another_file(starts: Starts) -> None:
    await starts.start()
    assert await starts.start(shared=("mailsac.com", OWN))


async def test_what_the_file_changes_itself_is_no_reason_to_apply_it_again(starts: Starts) -> None:
    await starts.start()
    changed = TEXT.replace("= 30", "= 40").replace("enablews = true", "enablews = false")
    await starts.start(changed.replace('"first-key-of-carl", ', ""))
    assert not await starts.start(changed.replace('"first-key-of-carl", ', ""))
    assert (await starts.accounts.accounts.get("carl")).address_credits == 40
    assert await starts.accounts.keys.find("first-key-of-carl") is None


async def _released(accounts: Accounts) -> None:
    await accounts.addresses.release("carl", USER1)


async def _given_to_another(accounts: Accounts) -> None:
    await accounts.addresses.release("carl", USER1)
    await accounts.addresses.reserve("ann", USER1)


async def _reserved_again(accounts: Accounts) -> None:
    await accounts.addresses.release("carl", USER1)
    await accounts.addresses.reserve("carl", USER1)


async def _revoked(accounts: Accounts) -> None:
    await accounts.keys.revoke("carl", "first-key-of-carl")


async def _other_credits(accounts: Accounts) -> None:
    await accounts.accounts.update("carl", address_credits=3)


async def _domain_removed(accounts: Accounts) -> None:
    await accounts.domains.remove("carl", OWN)


CHANGES = [_released, _given_to_another, _reserved_again, _revoked, _other_credits, _domain_removed]


@pytest.mark.parametrize("change", CHANGES)
async def test_whatever_contradicts_the_file_has_it_applied_again(
    starts: Starts, change: Callable[[Accounts], Awaitable[None]]
) -> None:
    await starts.start()
    await change(starts.accounts)
    assert await starts.start()


async def test_a_restart_puts_back_what_it_always_did(starts: Starts) -> None:
    await starts.start()
    for change in (_released, _revoked, _other_credits, _domain_removed):
        await change(starts.accounts)
    await starts.start()
    accounts = starts.accounts
    assert [r.address for r in await accounts.addresses.list("carl")] == [QUIET, USER1]
    assert await accounts.keys.find("first-key-of-carl") == "carl"
    assert (await accounts.accounts.get("carl")).address_credits == 30
    assert [domain.verified for domain in await accounts.domains.list("carl")] == [True]
    assert not await starts.start()


async def test_what_the_file_does_not_say_may_change(starts: Starts) -> None:
    await starts.start()
    accounts = starts.accounts
    await accounts.addresses.reserve("carl", "more@mailsac.com")
    await accounts.addresses.release("carl", "more@mailsac.com")
    made = await accounts.keys.add("carl", label="mine")
    await accounts.keys.revoke("carl", made.id)
    await accounts.addresses.update("carl", USER1, Change(enablews=False))  # the owner's switch stays
    with pytest.raises(BadRequest):
        await accounts.addresses.reserve_bulk("carl", ["new@mailsac.com", QUIET])  # undone
    assert not await starts.start()
    assert not (await accounts.addresses.get("carl", USER1)).enablews


async def test_a_contradiction_is_told_at_each_start(starts: Starts) -> None:
    await starts.accounts.addresses.reserve("ann", USER1)
    assert [await starts.start() for _ in range(2)] == [True, True]
    await starts.accounts.addresses.release("ann", USER1)
    assert [await starts.start() for _ in range(2)] == [True, False]


async def test_a_redis_that_lost_its_data_gets_the_file(starts: Starts) -> None:
    await starts.start()
    await starts.store.ask(("FLUSHALL",))
    assert await starts.start()


async def test_a_redis_of_an_earlier_moment_gets_what_is_new_since(starts: Starts) -> None:
    await starts.start()
    names = (keys.ACCOUNTS_APPLIED, keys.ACCOUNTS_DIGEST, keys.address(QUIET))
    earlier = await starts.store.ask(*(("GET", name) for name in names[:2]))
    later = TEXT.replace(QUIET, "new@mailsac.com")
    await starts.start(later)
    await starts.store.ask(*(("SET", name, value) for name, value in zip(names, earlier, strict=False)))
    assert await starts.start(later)


async def test_a_version_that_knows_of_no_digest_takes_its_word_away(starts: Starts) -> None:
    await starts.start()
    await starts.store.ask(("SET", keys.ACCOUNTS_APPLIED, 1_700_000_000_000))  # all that 0.2 notes
    assert await starts.start()


async def test_a_change_while_the_file_is_applied_is_not_missed(starts: Starts) -> None:
    said, note = AccountsFile(Path("accounts.toml"), TEXT.encode()), AppliedFile(starts.store)
    token = await note.begin()
    await file.apply(said.accounts(), starts.accounts, token=token)
    await starts.accounts.addresses.release("carl", USER1)
    assert await note.end(token, said.digest(()))
    assert not await note.is_whole(said.digest(()))
    assert await note.when_ms() is not None


async def test_of_two_that_apply_at_once_the_later_has_the_word(starts: Starts) -> None:
    note = AppliedFile(starts.store)
    first, second = await note.begin(), await note.begin()
    assert await note.end(first, "digest of the first")
    assert await note.when_ms() is None
    assert await note.end(second, "digest of the second")
    assert [await note.is_whole(f"digest of the {which}") for which in ("first", "second")] == [False, True]


async def test_one_that_changes_the_file_of_another_doubts_it(starts: Starts) -> None:
    note = AppliedFile(starts.store)
    slow = await note.begin()
    await starts.start()
    other = AccountsFile(Path("accounts.toml"), TEXT.replace('"first-key-of-carl", ', "").encode())
    await file.apply(other.accounts(), starts.accounts, token=slow)  # revokes what the file of the quick one has
    await note.end(slow, "digest of the slow one")
    assert await starts.start()
    assert await starts.accounts.keys.find("first-key-of-carl") == "carl"


async def test_one_that_declares_otherwise_than_another_doubts_it(starts: Starts) -> None:
    slow = await AppliedFile(starts.store).begin()
    await starts.start()
    other = AccountsFile(Path("accounts.toml"), TEXT.replace("enablews = true", "enablews = false").encode())
    await file.apply(other.accounts(), starts.accounts, token=slow)
    assert await starts.start()
    assert (await starts.accounts.addresses.get("carl", USER1)).enablews


async def test_a_domain_that_is_half_removed_is_put_back(starts: Starts, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cut_off(*_: object) -> None:
        raise Unavailable("in the middle")

    await starts.start()
    monkeypatch.setattr(domains, "_drop_starred", cut_off)
    with pytest.raises(Unavailable):
        await starts.accounts.domains.remove("carl", OWN)
    assert await starts.start()
    assert [domain.verified for domain in await starts.accounts.domains.list("carl")] == [True]


async def test_a_domain_that_is_removed_while_the_file_is_applied_is_put_back(
    starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overtaken(*_: object) -> None:
        await starts.start()

    await starts.start()
    monkeypatch.setattr(domains, "_drop_starred", overtaken)
    await starts.accounts.domains.remove("carl", OWN)
    assert await starts.start()
    assert [domain.verified for domain in await starts.accounts.domains.list("carl")] == [True]


async def test_a_bulk_that_gives_back_what_was_declared_meanwhile_has_it_put_back(starts: Starts) -> None:
    await starts.accounts.accounts.create("carl")
    await starts.accounts.addresses.reserve("carl", USER1)  # as the first half of a bulk does
    await starts.start()
    await starts.store.run(  # and its second half, when it has found an address of somebody else
        UNCLAIM, keys=[keys.address(USER1), keys.ACCOUNTS_DIGEST], args=["carl", keys.CONTROL, "notice"]
    )
    assert await starts.start()
    assert (await starts.accounts.addresses.get("carl", USER1)).owner == "carl"


async def test_data_lost_while_the_file_is_applied_are_noticed(starts: Starts) -> None:
    note = AppliedFile(starts.store)
    token = await note.begin()
    await starts.store.ask(("FLUSHALL",))
    assert not await note.end(token, "digest")
    assert await note.when_ms() is None


async def test_a_digest_is_not_believed_for_ever(starts: Starts) -> None:
    await starts.start()
    [seconds] = await starts.store.ask(("TTL", keys.ACCOUNTS_DIGEST))
    assert 0 < seconds <= 7 * 24 * 3600


async def test_the_digest_of_a_file_says_no_key(starts: Starts) -> None:
    await starts.start()
    [known] = await starts.store.ask(("GET", keys.ACCOUNTS_DIGEST))
    assert b"key-of-carl" not in known
    assert "key-of-carl" not in repr(AccountsFile(Path("accounts.toml"), TEXT.encode()))
