"""What an inbox and an account are said to keep, against what is there: random walks over all that changes it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from relay import store
from relay.accounts.addresses import Addresses
from relay.accounts.reservation import Change
from relay.accounts.shared_domains import SharedDomains
from relay.delivery.bus import Bus, Published
from relay.errors import BadRequest, NotFound
from relay.letters.retention import Retention
from relay.letters.sweeper import Sweeper
from relay.mailbox import Mailbox
from relay.message import Message, encode, for_inbox
from relay.store import Store, keys

pytestmark = pytest.mark.anyio

KEPT = 4
KEEP_SECONDS = 60
ACCOUNTS = ("ann", "bob")
INBOXES = ("one@mailsac.com", "two@mailsac.com", "three@own.example")
STEPS = 60
WEIGHTS = {
    "publish": 12,
    "delete": 3,
    "delete all": 1,
    "star": 6,
    "flag": 1,
    "old": 2,
    "sweep": 1,
    "answers": 2,
    "release": 2,
    "claim": 3,
}
RETENTION = Retention(KEPT, 3_000, KEEP_SECONDS)
LIMITS = {"starred_messages": 3, "starred_bytes": 100_000}


Kept = dict[str, list[int]]  # by inbox, the bytes of each letter that is not too old


async def never() -> bool:
    return False


@dataclass
class World:
    """A Redis with two accounts and three inboxes, the last in a domain that is ann's."""

    store: Store
    chance: random.Random
    owners: dict[str, str] = field(default_factory=dict)
    walked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bus = Bus(self.store, RETENTION, restore=never)
        self.mailbox = Mailbox(self.store, RETENTION, **LIMITS)
        self.sweeper = Sweeper(self.store, RETENTION)
        self.addresses = Addresses(self.store, shared=SharedDomains(("mailsac.com",)))

    async def begin(self) -> None:
        await self.store.ask(
            ("HSET", keys.domain("own.example"), "owner", "ann", "since", 1),
            ("SADD", keys.account_domains("ann"), "own.example"),
            *(("HSET", keys.account(account), "address_credits", 50) for account in ACCOUNTS),
        )

    def reader(self, inbox: str) -> str:
        """Who may read it; "" = nobody."""
        return self.owners.get(inbox, "ann" if inbox.endswith("own.example") else "")

    async def step(self) -> None:
        what = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        inbox = self.chance.choice(INBOXES)
        self.walked.append(f"{what} {inbox}")
        await getattr(self, f"_{what.replace(' ', '_')}")(inbox)

    async def _publish(self, inbox: str) -> None:
        text = "x" * self.chance.randrange(2000)
        mail = Message(datetime.now(UTC), text.encode(), subject="x", text=text)
        outcome = await self.bus.publish(inbox, for_inbox(encode(mail), inbox))
        assert isinstance(outcome, Published) == bool(self.reader(inbox))

    async def _some_id(self, inbox: str) -> str:
        listing = await self.mailbox.list(self.reader(inbox), inbox, limit=10)
        return str(self.chance.choice(listing.entries).id) if listing.entries else f"{'0' * 16}-1-1"

    async def _delete(self, inbox: str) -> None:
        if self.reader(inbox):
            with contextlib.suppress(NotFound):
                await self.mailbox.changes.delete(self.reader(inbox), inbox, await self._some_id(inbox))

    async def _delete_all(self, inbox: str) -> None:
        if self.reader(inbox):
            await self.mailbox.changes.delete_all(self.reader(inbox), inbox)

    async def _star(self, inbox: str) -> None:
        if self.reader(inbox):
            with contextlib.suppress(NotFound, BadRequest):
                await self.mailbox.stars.toggle(self.reader(inbox), inbox, await self._some_id(inbox))

    async def _flag(self, inbox: str) -> None:
        if self.reader(inbox):
            try:
                where = self.reader(inbox), inbox, await self._some_id(inbox)
                await self.mailbox.changes.set_read(*where, read=True)
            except NotFound:
                pass

    async def _old(self, inbox: str) -> None:
        """The oldest letters of an inbox become too old; Redis drops them by itself, and not their rows."""
        [rows] = await self.store.ask(("XRANGE", keys.index(inbox), "-", "+"))
        old = self.chance.randrange(len(rows) + 1)
        shift_ms = 2 * KEEP_SECONDS * 1000
        await self.store.ask(("DEL", keys.index(inbox)))
        for at, (entry, fields) in enumerate(rows):
            place = entry.decode()
            if at < old:
                ms, seq = map(int, place.split("-"))
                await self.store.ask(("DEL", keys.letter(inbox, f"{fields[3].decode()}-{place}")))
                place = f"{ms - shift_ms}-{seq}" if ms > shift_ms else place
            await self.store.ask(("XADD", keys.index(inbox), place, *fields))
        if old:
            await self.store.ask(("ZADD", keys.DUE, 1, inbox))

    async def _sweep(self, _inbox: str) -> None:
        await self.sweeper.sweep()

    async def _answers(self, _inbox: str) -> None:
        await self.check_answers()

    async def _release(self, inbox: str) -> None:
        if inbox in self.owners:
            await self.addresses.release(self.owners.pop(inbox), inbox)

    async def _claim(self, inbox: str) -> None:
        account = "ann" if inbox.endswith("own.example") else self.chance.choice(ACCOUNTS)
        if inbox not in self.owners:
            await self.addresses.reserve(account, inbox, Change(enablews=True))
            self.owners[inbox] = account

    async def check(self) -> None:
        """Counts, rows, letters and copies tell the same."""
        of_accounts = {account: [0, 0] for account in ACCOUNTS}
        for inbox in INBOXES:
            rows, counts, names, stars = await self.store.ask(
                ("XRANGE", keys.index(inbox), "-", "+"),
                ("HMGET", keys.meta(inbox), "letters", "bytes"),
                ("KEYS", f"relay:{{{inbox}}}:*"),
                ("HKEYS", keys.starred(inbox)),
            )
            fields = [dict(zip(row[::2], row[1::2], strict=True)) for _, row in rows]
            assert [int(count or 0) for count in counts] == [len(rows), sum(int(row[b"b"]) for row in fields)], (
                inbox
            )
            for row in fields:
                of_accounts[row[b"o"].decode()][0] += 1
                of_accounts[row[b"o"].decode()][1] += int(row[b"b"])
            places = {
                f"{row[b'e'].decode()}-{entry.decode()}" for (entry, _), row in zip(rows, fields, strict=True)
            }
            await self._check_names(inbox, {name.decode() for name in names}, places, [s.decode() for s in stars])
        for account, expected in of_accounts.items():
            [counts] = await self.store.ask(("HMGET", keys.ACCOUNT_KEPT % account, "letters", "bytes"))
            assert [int(count or 0) for count in counts] == expected, account

    async def _check_names(self, inbox: str, names: set[str], places: set[str], stars: list[str]) -> None:
        letters = {name for name in names if name.startswith(keys.letter(inbox, ""))}
        assert letters <= {keys.letter(inbox, place) for place in places}
        for name in letters:
            [row] = await self.store.ask(("XRANGE", keys.index(inbox), *2 * [name.rpartition(":")[2][7:]]))
            [size] = await self.store.ask(("STRLEN", name))
            assert size + len(row[0][1][7]) == int(row[0][1][5])
        copies = {name for name in names if name.startswith(keys.starred_letter(inbox, ""))}
        assert copies == {keys.starred_letter(inbox, star) for star in stars}
        assert {star.rpartition(" ")[2] for star in stars} <= {self.reader(inbox)}

    async def check_answers(self) -> None:
        """What an account is told, when nothing that is too old counts any more; and the same as of a cluster."""
        for account in ACCOUNTS:
            mine = [inbox for inbox in INBOXES if self.reader(inbox) == account]
            kept = {inbox: await self._young(inbox) for inbox in mine}
            questions = [self._ask_usage, self._ask_usage_of_cluster, self._ask_count, self._ask_list]
            self.chance.shuffle(questions)
            for ask in questions:
                await ask(account, kept)

    async def _ask_usage(self, account: str, kept: Kept) -> None:
        sums = sum(map(len, kept.values())), sum(map(sum, kept.values()))
        assert await self.mailbox.usage(account) == sums

    async def _ask_usage_of_cluster(self, account: str, kept: Kept) -> None:
        sums = sum(map(len, kept.values())), sum(map(sum, kept.values()))
        mailbox = Mailbox(self.store, RETENTION, **LIMITS)
        mailbox._clustered = True
        assert await mailbox.usage(account) == sums

    async def _ask_count(self, account: str, kept: Kept) -> None:
        for inbox, sizes in kept.items():
            gone = await self._stars_without_letters(inbox)
            assert (await self.mailbox.count(account, inbox)).messages == len(sizes) + gone

    async def _ask_list(self, account: str, kept: Kept) -> None:
        for inbox, sizes in kept.items():
            listing = await self.mailbox.list(account, inbox, limit=50)
            assert len(listing.entries) == len(sizes) + await self._stars_without_letters(inbox)
            for entry in listing.entries:
                letter = await self.mailbox.letter(account, inbox, str(entry.id))
                assert letter.json().startswith(b'{"_id":"%b"' % str(entry.id).encode())

    async def _young(self, inbox: str) -> list[int]:
        """The bytes of each row."""
        [(seconds, _), rows] = await self.store.ask(("TIME",), ("XRANGE", keys.index(inbox), "-", "+"))
        from_ms = (int(seconds) - KEEP_SECONDS) * 1000
        return [int(row[5]) for entry, row in rows if int(entry.split(b"-")[0]) >= from_ms]

    async def _stars_without_letters(self, inbox: str) -> int:
        rows, stars = await self.store.ask(("XRANGE", keys.index(inbox), "-", "+"), ("HKEYS", keys.starred(inbox)))
        entries = {entry.decode() for entry, _ in rows}
        return sum(star.decode().split(" ")[0].partition("-")[2] not in entries for star in stars)


@pytest.fixture
async def opened(redis_url: str) -> AsyncIterator[Store]:
    opened = store.connect(redis_url, timeout_seconds=5)
    yield opened
    await opened.close()


@pytest.mark.parametrize("seed", range(6))
async def test_counts_are_what_is_there(opened: Store, seed: int) -> None:
    world = World(opened, random.Random(seed))
    await world.begin()
    for _ in range(STEPS):
        await world.step()
        try:
            await world.check()
        except AssertionError as error:
            raise AssertionError(f"after {world.walked}") from error
    await world.check_answers()
    await world.check()


async def test_counts_are_what_is_there_when_all_comes_at_once(opened: Store) -> None:
    world = World(opened, random.Random(7))
    await world.begin()
    for inbox in INBOXES:
        await world.addresses.reserve("ann", inbox, Change(enablews=True))
        world.owners[inbox] = "ann"
    for _ in range(10):
        kinds = [world._publish, world._delete, world._delete_all, world._star, world._sweep]
        await asyncio.gather(*(world.chance.choice(kinds)(world.chance.choice(INBOXES)) for _ in range(12)))
        await world.check()
    await world.check_answers()
