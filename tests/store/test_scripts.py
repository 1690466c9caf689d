"""Every script of relay/*/lua: none is an orphan, each says what it takes, and each runs alone on both stores.

What a script does is held by the tests of its room; here it is called without that room.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from relay import store
from relay.store import Script, Store, keys
from relay.store.script import parts

pytestmark = pytest.mark.anyio

HOUSE = Path(__file__).parents[2] / "relay"
FILES = {path.relative_to(HOUSE).as_posix(): path.read_text("utf-8") for path in HOUSE.glob("*/lua/*.lua")}


def of_modules() -> dict[str, Script]:
    """The scripts that modules have loaded, by name."""
    paths = [path for path in HOUSE.rglob("*.py") if "Script.load(" in path.read_text("utf-8")]
    modules = [import_module(".".join(path.relative_to(HOUSE.parent).with_suffix("").parts)) for path in paths]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Script)]
    return {script.name: script for script in found}


SCRIPTS = of_modules()


def test_no_file_is_an_orphan() -> None:
    used = {part for name in SCRIPTS for part, _ in parts(name)}
    assert used == FILES.keys()


def test_no_module_has_lua_of_its_own() -> None:
    assert not [path for path in HOUSE.rglob("*.py") if "redis.call(" in path.read_text("utf-8")]


def test_what_is_included_is_no_script_of_its_own() -> None:
    included = {part for name in SCRIPTS for part, _ in parts(name)[:-1]}
    assert not included & SCRIPTS.keys()


def comment(text: str) -> str:
    """The lines before the code."""
    found = re.match(r"(--.*\n)+", text)
    return found[0] if found else ""


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_says_on_top_what_it_takes(name: str) -> None:
    said, text = comment(FILES[name]), FILES[name]
    for kind in ("KEYS", "ARGV"):
        [*said_of_kind] = re.findall(rf"(?m)^-- .*\b{kind}\b", said)
        if name in SCRIPTS or re.search(rf"\b{kind}\b", text.removeprefix(said)):
            assert said_of_kind, f"{name} does not say what its {kind} are"


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_script_says_what_it_returns_or_does(name: str) -> None:
    said = comment(FILES[name])
    assert re.search(r"(?m)^-- Returns ", said) or "return" not in FILES[name].removeprefix(said)


def test_parts_come_once_and_before_what_needs_them() -> None:
    names = [name for name, _ in parts("mailbox/lua/delete.lua")]
    assert names[0] == "letters/lua/row.lua"
    assert names.index("letters/lua/sweep.lua") < names.index("mailbox/lua/find.lua")
    assert names[-1] == "mailbox/lua/delete.lua"
    assert names.index("delivery/lua/bury.lua") < names.index("mailbox/lua/drop.lua")
    assert len(set(names)) == len(names)


def test_a_part_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(FileNotFoundError):
        Script.load("mailbox/lua/none.lua")


# --- each alone ---------------------------------------------------------------------------------------------------

ID = "00000000000123456-1-1"
INBOX = ["index", "flags", "starred", "meta", "letter:", "starred:", "tombs:", "letters", "letter-ids"]
ANN = ["ann", "tag", "kept:%s", 60_000]  # what all scripts of the mailbox are told first
ADDRESS = ["address", "index", "meta", "flags", "starred", "letter:", "starred:", "letters", "letter-ids"]
NOTICE = ["ann", "control", "notice"]
PUBLISH = [
    "a@x",
    "",
    "tag",
    "epoch",
    10,
    1000,
    "bell of a@x",
    "bell of x",
    0,
    "kept:%s",
    9,
    60,
    b"row",
]
QUEUE = ["queue", "queue:bytes", "queue:1"]
Call = tuple[list[str], list[Any], Any]

# By script: keys, arguments, and what a Redis replies that has nothing.
CALLS: dict[str, Call] = {
    "accounts/lua/account_create.lua": (["account"], [50, 1], 1),
    "accounts/lua/account_update.lua": (["account", "digest"], [50, ""], 0),
    "accounts/lua/accounts_applied.lua": (["applied", "digest"], ["token", "digest", 60], 0),
    "accounts/lua/address_claim.lua": (ADDRESS, ["ann", "kept:%s", "", "enablews", "0"], b"done"),
    "accounts/lua/address_release.lua": (
        [*ADDRESS, "digest"],
        ["ann", "kept:%s", "control", "notice"],
        b"free",
    ),
    "accounts/lua/address_take.lua": (["account", "addresses"], [1, "a@x"], [-1, 0, 0]),
    "accounts/lua/address_unclaim.lua": (["address", "digest"], NOTICE, b"free"),
    "accounts/lua/address_update.lua": (["address", "digest"], [*NOTICE, "", "", "info", "x"], b"free"),
    "accounts/lua/domain_add.lua": (["domains", "proof"], ["x", "token", 1, 10], b"done"),
    "accounts/lua/domain_disown.lua": (["domain", "digest"], NOTICE, 0),
    "accounts/lua/domain_forget.lua": (["domains", "proof", "digest"], ["x"], 0),
    "accounts/lua/domain_own.lua": (["domain"], ["ann", "dns"], b"ann"),
    "accounts/lua/domain_update.lua": (["proof"], ["errors", ""], 0),
    "accounts/lua/key_add.lua": (["key"], ["ann", "account", "ann"], b"ann"),
    "accounts/lua/key_leave.lua": (["keys"], ["hash", "-hash", "other"], 1),
    "accounts/lua/key_list.lua": (["keys"], ["hash", 1], 1),
    "accounts/lua/key_suspend.lua": (["key"], ["ann", "c", "key\nx", 1], 0),
    "accounts/lua/key_revoke.lua": (["key", "digest"], [*NOTICE, "file", ""], 0),
    "activity/lua/write.lua": (["all", "of ann"], [60, 10, 10, 2, "ann", "{}"], None),
    "delivery/lua/floor.lua": (["index", "deleted"], [5, 60_000], []),
    "delivery/lua/publish.lua": (
        [
            "address",
            "meta",
            "index",
            "seen",
            "letter:",
            "beside",
            "letters",
            "letter-ids",
            "lineage",
            "inboxes",
            "due",
            "old",
        ],
        [*PUBLISH, "", b"letter"],
        [0, b"not reserved", b""],
    ),
    "letters/lua/adopt.lua": (
        ["index", "letter:", "meta"],
        ["1-1", "ann", "epoch", 1, 1, 60_000, 9, "kept:%s", b"row", b"letter"],
        None,
    ),
    "letters/lua/adopted.lua": (["meta"], [1], None),
    "letters/lua/room.lua": (["index", "letter:", "meta"], ["ann", 2**53, 1000, "kept:%s"], [0, 0, b"-1"]),
    "letters/lua/expire.lua": (["index", "letter:", "meta", "due"], ["a@x", 10, 1000, 60_000, "kept:%s"], b"0"),
    "mailbox/lua/copies.lua": (INBOX, [*ANN, 1000, ID], [[b"", b"", 0]]),
    "mailbox/lua/count.lua": (INBOX, [*ANN, 0], [0, 0, 0]),
    "mailbox/lua/delete.lua": (INBOX, [*ANN, ID, 10, 1000], 0),
    "mailbox/lua/delete_all.lua": (INBOX, [*ANN, "-", "1-1", 10, 1000, 1000], b""),
    "mailbox/lua/flag.lua": (INBOX, [*ANN, ID, "read", "1", 20, 1000], b"gone"),
    "mailbox/lua/page.lua": (INBOX, [*ANN, "+", 0, 10, 1000], [b"", [], [], [], [], []]),
    "mailbox/lua/star.lua": (INBOX, [*ANN, ID, 10, 1000, 1000], -1),
    "mailbox/lua/usage.lua": (INBOX, [*ANN, 0], [0, 0]),
    "queues/lua/lease_add.lua": (QUEUE, [10, 1000, "1", 1000, 1, "first", "x"], 2),
    "queues/lua/lease_finish.lua": (QUEUE, ["1", "token", "first"], 0),
    "queues/lua/lease_note.lua": (QUEUE, ["1", "token", 1000, "token"], 0),
    "queues/lua/lease_take.lua": (QUEUE[:2], ["token", 1000, "first"], [0, -1]),
    "queues/lua/parked_add.lua": (QUEUE, [10, 1000, "1", "raw", 1, "why", "[]", 1, 3, b"x"], 0),
    "queues/lua/parked_drop.lua": (QUEUE, ["1-1", 3], 0),
}


@pytest.fixture
async def opened(redis_url: str) -> AsyncIterator[Store]:
    opened = store.connect(redis_url, timeout_seconds=5)
    yield opened
    await opened.close()


@pytest.mark.parametrize("name", sorted(SCRIPTS.keys() | CALLS.keys()))
async def test_a_script_runs_alone(opened: Store, name: str) -> None:
    names, args, reply = CALLS[name]
    async with opened.call() as client:
        await client.script_flush()
    assert await opened.run(SCRIPTS[name], keys=names, args=args) == reply
    assert await opened.ask(("DEL", *names)) is not None
    assert await opened.run(SCRIPTS[name], keys=names, args=args) == reply  # by its SHA-1


async def test_the_scripts_of_an_inbox_one_after_the_other(opened: Store) -> None:
    """With letters there, so that every part has run."""
    box, tag = "a@x", keys.inbox_tag("a@x")
    names = [kind(box) for kind in (keys.index, keys.flags, keys.starred, keys.meta)]
    inbox = [
        *names,
        keys.letter(box, ""),
        keys.starred_letter(box, ""),
        keys.deleted(box, ""),
        keys.letterbox(box),
        keys.letter_ids(box),
    ]
    seen, beside = keys.seen(box, "x"), keys.incoming(box, "1")
    published = [keys.address(box), keys.meta(box), keys.index(box), seen, keys.letter(box, ""), beside]
    published += [keys.letterbox(box), keys.letter_ids(box), "lineage", "inboxes", keys.DUE, keys.OLD_FORM]
    await opened.ask(("HSET", keys.address(box), "owner", "ann", "enablews", "1"))

    async def run(script: str, *args: str | int | bytes, names: list[str] | None = None) -> Any:
        if names:
            return await opened.run(SCRIPTS[script], keys=names, args=args)
        return await opened.run(SCRIPTS[script], keys=inbox, args=("ann", tag, keys.ACCOUNT_KEPT, 60_000, *args))

    ids: list[str] = []
    for letter in (b"letter", b""):
        await opened.ask(("SET", beside, b"letter"))
        arguments = (box, "", tag, "abcdef", 10, 1000, "bell", "bell of x", 0, keys.ACCOUNT_KEPT, 9, 60, b"row")
        outcome, message_id, owner, listening, old, total = await run(
            "delivery/lua/publish.lua", *arguments, "", letter, names=published
        )
        assert (outcome, owner, listening, old, total) == (1, b"ann", 0, 0, 9 * (len(ids) + 1))
        ids.append(message_id.decode())
    first, second = ids
    page = [b"", [second.encode(), first.encode()], [b"row", b"row"], [b"", b""], [b"0", b"0"], []]
    assert await run("mailbox/lua/page.lua", "+", 0, 10, 10_000) == page
    assert await run("mailbox/lua/flag.lua", first, "read", "1", 20, 1000) == b"1\ninbox"
    assert await run("mailbox/lua/star.lua", first, 10, 10_000, 1000) == 1
    copy = keys.starred_letter(box, f"{first} ann")
    assert await opened.ask(("GET", copy), ("TTL", copy)) == [b"letter", -1]
    assert await run("mailbox/lua/count.lua", 0) == [2, 1, 1]
    assert await run("mailbox/lua/usage.lua", 0) == [2, 18]
    assert await run("mailbox/lua/copies.lua", 10_000, first) == [[b"row", b"1\ninbox", 1]]
    assert await run("mailbox/lua/delete.lua", first, 10, 1000) == 1
    newest = second.rpartition("-")[2]
    floor = [keys.index(box), keys.deleted(box, "abcdef")]
    found = await run("delivery/lua/floor.lua", newest, 60_000, names=floor)
    assert found[1] == b"1"  # its owner's doing: nothing is lost
    assert await run("mailbox/lua/delete_all.lua", "-", second.partition("-")[2], 10, 1000, 1000) == b""
    assert await opened.ask(("XLEN", inbox[0]), ("ZRANGE", floor[1], 0, -1)) == [
        0,
        [b"1-2-%b" % first.split("-")[1].encode()],
    ]
    assert await run("mailbox/lua/usage.lua", 0) == [0, 0]
    assert await opened.ask(("KEYS", f"{keys.letter(box, '')}*"), ("EXISTS", copy)) == [[], 0]
