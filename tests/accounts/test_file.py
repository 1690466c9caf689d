"""The accounts file: what it says happens, again and again, and what is wrong in it is said all at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.accounts import Accounts, file, hash_key
from relay.accounts.reservation import Change
from relay.errors import BadRequest, ConfigError
from relay.store.notices import Kind, Notice
from tests.accounts.control import Control

USER1 = "user1@mailsac.com"
KEY, SECOND = "first-key-of-carl", "second-key-of-carl"
FILE = f"""
[[accounts]]
id = "carl"
keys = ["{KEY}"]
key_hashes = ["sha256:{hash_key(SECOND)}"]
address_credits = 3
domains = ["Own.Example"]
addresses = [
    {{ address = "User1@Mailsac.com", enablews = true }},
    {{ address = "off@elsewhere.example" }},
]

[[accounts]]
id = "dora"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "accounts.toml"


async def _load(path: Path, accounts: Accounts, text: str) -> int:
    await asyncio.to_thread(path.write_text, text)
    return await file.load(path, accounts)


async def _state(accounts: Accounts) -> object:
    return (
        await accounts.accounts.list(),
        [await accounts.keys.list(account_id) for account_id in ("carl", "dora")],
        [await accounts.addresses.list(account_id) for account_id in ("carl", "dora")],
        [await accounts.domains.list(account_id) for account_id in ("carl", "dora")],
    )


@pytest.mark.anyio
async def test_what_the_file_says_is_there(accounts: Accounts, path: Path) -> None:
    assert await _load(path, accounts, FILE) == 2
    assert (await accounts.accounts.get("carl")).address_credits == 3
    assert (await accounts.accounts.get("dora")).address_credits == 50
    assert await accounts.gate.account_of(KEY) == await accounts.gate.account_of(SECOND) == "carl"
    assert {row.source for row in await accounts.keys.list("carl")} == {"file"}
    assert {r.address: r.enablews for r in await accounts.addresses.list("carl")} == {
        USER1: True,
        "off@elsewhere.example": False,
    }
    (domain,) = await accounts.domains.list("carl")
    assert (domain.name, domain.verified) == ("own.example", True)
    wanted = frozenset({USER1}), frozenset({"own.example"})
    assert await accounts.gate.admit(hash_key(KEY), "carl", *wanted) == "carl"


@pytest.mark.anyio
async def test_loading_again_changes_nothing_also_from_many_pods(
    accounts: Accounts, control: Control, path: Path
) -> None:
    await _load(path, accounts, FILE)
    before = await _state(accounts)
    await asyncio.gather(*(file.load(path, accounts) for _ in range(10)))
    assert await _state(accounts) == before
    assert await control.heard() == []


@pytest.mark.anyio
async def test_many_pods_may_load_it_first(accounts: Accounts, path: Path) -> None:
    await asyncio.to_thread(path.write_text, FILE)
    await asyncio.gather(*(file.load(path, accounts) for _ in range(10)))
    assert [len(await accounts.keys.list("carl")), len(await accounts.addresses.list("carl"))] == [2, 2]


@pytest.mark.anyio
async def test_a_key_gone_from_the_file_is_revoked_and_others_stay(
    accounts: Accounts, control: Control, path: Path
) -> None:
    await _load(path, accounts, FILE)
    made = await accounts.keys.add("carl")
    await _load(path, accounts, FILE.replace(f'keys = ["{KEY}"]', ""))
    assert await accounts.keys.find(KEY) is None
    assert await accounts.keys.find(SECOND) == await accounts.keys.find(made.key or "") == "carl"
    assert await control.heard() == [Notice(Kind.KEY, hash_key(KEY))]


@pytest.mark.anyio
@pytest.mark.parametrize("back", [False, True])
async def test_a_key_may_move_to_another_account(accounts: Accounts, path: Path, back: bool) -> None:
    held = f'keys = ["{KEY}"]\n'
    dora = FILE.replace(held, "").replace('id = "dora"\n', f'id = "dora"\n{held}')
    before, after = (dora, FILE) if back else (FILE, dora)
    await _load(path, accounts, before)
    await _load(path, accounts, after)
    assert await accounts.keys.find(KEY) == ("carl" if back else "dora")


@pytest.mark.anyio
async def test_a_file_of_many_accounts(accounts: Accounts, path: Path) -> None:
    text = "".join(
        f'[[accounts]]\nid = "a{n}"\nkeys = ["key-of-{n}"]\naddresses = [{{ address = "a{n}@mailsac.com" }}]\n'
        for n in range(100)
    )
    await accounts.addresses.reserve("ann", "a50@mailsac.com")
    await accounts.keys.add("ann", "key-of-60")
    with pytest.raises(ConfigError) as refused:
        await _load(path, accounts, text)
    assert refused.value.problems == (
        "accounts[60].keys[0]: this key belongs to another account; each account needs its own",
        "accounts[50].addresses[0].address: a50@mailsac.com belongs to another account",
    )
    for n in (0, 51, 99):
        assert await accounts.gate.account_of(f"key-of-{n}") == f"a{n}"
        assert [r.address for r in await accounts.addresses.list(f"a{n}")] == [f"a{n}@mailsac.com"]


@pytest.mark.anyio
async def test_an_address_of_a_long_list_that_is_anothers_is_named_by_its_place(
    accounts: Accounts, path: Path
) -> None:
    names = [f"a{n}@mailsac.com" for n in range(1_500)]
    await accounts.addresses.reserve("ann", names[1_234])
    listed = ",".join(f'{{ address = "{name}" }}' for name in names)
    with pytest.raises(ConfigError) as refused:
        await _load(path, accounts, f'[[accounts]]\nid = "carl"\naddresses = [{listed}]\n')
    assert refused.value.problems == (
        f"accounts[0].addresses[1234].address: {names[1_234]} belongs to another account",
    )
    assert [r.address for r in await accounts.addresses.list("carl")] == sorted({*names} - {names[1_234]})
    assert await accounts.addresses.count("carl") == 1_499


@pytest.mark.anyio
async def test_an_account_that_is_no_longer_named_is_out_and_keeps_its_mail(
    accounts: Accounts, path: Path
) -> None:
    await _load(path, accounts, FILE)
    before = await _state(accounts)
    await _load(path, accounts, "")
    assert await accounts.keys.find(KEY) is None
    assert [one.owner for one in await accounts.addresses.list("carl")] == ["carl", "carl"]
    await _load(path, accounts, FILE)
    assert await accounts.keys.find(KEY) == "carl"
    assert await _state(accounts) == before


@pytest.mark.anyio
async def test_a_restart_does_not_undo_what_the_owner_switched(accounts: Accounts, path: Path) -> None:
    await _load(path, accounts, FILE)
    await accounts.addresses.update("carl", USER1, Change(enablews=False))
    await _load(path, accounts, FILE)
    assert not (await accounts.addresses.get("carl", USER1)).enablews
    await _load(path, accounts, FILE.replace("enablews = true", "enablews = false"))
    await _load(path, accounts, FILE)
    assert (await accounts.addresses.get("carl", USER1)).enablews


@pytest.mark.anyio
async def test_declared_addresses_use_credits_up(accounts: Accounts, path: Path) -> None:
    await _load(path, accounts, FILE)
    await accounts.addresses.reserve("carl", "a@own.example")
    with pytest.raises(BadRequest, match="3 of 3 are used"):
        await accounts.addresses.reserve("carl", "b@own.example")
    await accounts.addresses.release("carl", "off@elsewhere.example")
    await accounts.addresses.reserve("carl", "b@own.example")
    await _load(path, accounts, FILE)  # the operator's word counts although the user has spent the credit
    assert len(await accounts.addresses.list("carl")) == 4


@pytest.mark.anyio
async def test_what_contradicts_the_store_is_all_named(accounts: Accounts, path: Path) -> None:
    await accounts.addresses.reserve("ann", USER1)
    await accounts.domains.declare("ann", "own.example")
    await accounts.keys.add("ann", KEY)
    text = FILE.replace('"Own.Example"]', '"Own.Example", "mailsac.com"]')
    with pytest.raises(ConfigError) as refused:
        await _load(path, accounts, text)
    assert refused.value.problems == (
        "accounts[0].keys[0]: this key belongs to another account; each account needs its own",
        "accounts[0].domains[0]: own.example belongs to another account",
        "accounts[0].domains[1]: mailsac.com is shared by all accounts here; reserve addresses on it instead",
        "accounts[0].addresses[0].address: user1@mailsac.com belongs to another account",
    )
    assert await accounts.keys.find(KEY) == "ann"
    assert [r.address for r in await accounts.addresses.list("ann")] == [USER1]


def _problems(path: Path, text: str) -> tuple[str, ...]:
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        file.read(path)
    return refused.value.problems


def test_all_problems_are_said_at_once_without_any_key(path: Path) -> None:
    problems = _problems(
        path,
        """
        title = "x"
        [[accounts]]
        id = "a b"
        keys = ["good-key-of-somebody", "secret with space", 12]
        key_hashes = ["sha256:1234", "plain-secret-not-hashed"]
        colour = "red"
        addresses = [{ address = "ok@mailsac.com" }, { address = "nobody", enablews = "yes" }]
        domains = ["-.example"]
        [[accounts]]
        address_credits = -1
        """,
    )
    members = [problem.partition(": ")[0] for problem in problems]
    assert members == [
        "title",
        "accounts[0].id",
        "accounts[0].keys[1]",
        "accounts[0].keys[2]",
        "accounts[0].key_hashes[0]",
        "accounts[0].key_hashes[1]",
        "accounts[0].domains[0]",
        "accounts[0].addresses[1].address",
        "accounts[0].addresses[1].enablews",
        "accounts[0].colour",
        "accounts[1].id",
        "accounts[1].address_credits",
    ]
    for secret in ("good-key", "secret", "1234", "12", "hashed"):
        assert secret not in "\n".join(problems).replace("64 lower", "")


def test_what_stands_twice_is_named_with_both_places(path: Path) -> None:
    problems = _problems(
        path,
        f"""
        [[accounts]]
        id = "a"
        keys = ["{KEY}"]
        domains = ["own.example"]
        addresses = [{{ address = "{USER1}" }}]
        [[accounts]]
        id = "a"
        key_hashes = ["sha256:{hash_key(KEY)}"]
        domains = ["OWN.example."]
        addresses = [{{ address = "USER1@mailsac.com" }}]
        """,
    )
    assert problems == (
        "accounts[1].id: id a stands at accounts[0].id already",
        "accounts[1].key_hashes[0]: the same key stands at accounts[0].keys[0] already",
        "accounts[1].domains[0]: domain own.example stands at accounts[0].domains[0] already",
        f"accounts[1].addresses[0].address: address {USER1} stands at accounts[0].addresses[0].address already",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[accounts]\nid = 'a'", "accounts: write [[accounts]], with double brackets"),
        ("accounts = ['secret']", "accounts[0]: Input should be"),
        ("[[accounts]", "is not TOML"),
        ("accounts = 3", "accounts: write [[accounts]]"),
    ],
)
def test_what_is_no_accounts_file_is_refused(path: Path, text: str, problem: str) -> None:
    (said,) = _problems(path, text)
    assert problem in said
    assert "secret" not in said


def test_a_file_that_cannot_be_read_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"accounts\.toml cannot be read: No such file"):
        file.read(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        file.read(path)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        file.read(path.parent)


@given(st.binary() | st.text().map(lambda text: f"[[accounts]]\n{text}".encode("utf-8", "replace")))
def test_any_bytes_are_accounts_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-accounts.toml"
    path.write_bytes(content)
    with suppress(ConfigError):
        assert all(account.id for account in file.read(path))
