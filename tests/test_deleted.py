"""What owners deleted, against a model: whoever resumes is told of a gap exactly when something is lost."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.history import (
    After,
    OldestFirst,
    Since,
    Start,
)
from relay.delivery.letter import Gap
from relay.delivery.letterbox import Letterbox
from relay.delivery.tombstones import Tombstones
from relay.mailbox import Mailbox
from relay.message_id import MessageId
from relay.store import keys
from tests.harness import ACCOUNT, ADDRESS, DOMAIN, Relay

pytestmark = pytest.mark.anyio

KEPT = 5


@dataclass
class Model:
    """An inbox, and what must be in it."""

    relay: Relay
    inbox: str
    ids: list[MessageId] = field(default_factory=list)
    kept: list[MessageId] = field(default_factory=list)
    deleted: set[MessageId] = field(default_factory=set)

    @property
    def mailbox(self) -> Mailbox:
        return self.relay.process.service.mailbox

    @property
    def letterbox(self) -> Letterbox:
        return self.relay.process.service.letterbox

    async def publish(self) -> None:
        message = MessageId.parse(await self.relay.send("x", self.inbox))
        self.ids.append(message)
        self.kept = [*self.kept, message][-KEPT:]

    async def delete(self, chance: random.Random) -> None:
        if self.kept:
            message = chance.choice(self.kept)
            await self.mailbox.changes.delete(ACCOUNT, self.inbox, str(message))
            self.kept.remove(message)
            self.deleted.add(message)

    async def delete_all(self) -> None:
        await self.mailbox.changes.delete_all(ACCOUNT, self.inbox)
        self.deleted.update(self.kept)
        self.kept = []

    async def expire(self) -> None:
        """As a sweep does it: rows and letters go."""
        letters = [keys.letter(self.inbox, message.place) for message in self.kept]
        await self.relay.process.service.store.ask(("DEL", keys.index(self.inbox), *letters))
        self.kept = []

    async def read(self, start: Start) -> tuple[list[MessageId], bool]:
        """The letters, and whether a gap is told."""
        history = OldestFirst(self.letterbox, {self.inbox: start})
        letters, gap = [], False
        while item := await history.next():
            if isinstance(item, Gap):
                gap = True
            else:
                letters.append(item.id)
        return letters, gap

    def expected(self, after: int) -> tuple[list[MessageId], bool]:
        """The same of a reader who has so many of the messages."""
        rest = self.ids[after:]
        lost = [message for message in rest if message not in self.kept and message not in self.deleted]
        return [message for message in rest if message in self.kept], bool(lost)


@pytest.mark.settings(keep_messages=KEPT)
async def test_a_gap_is_told_exactly_when_something_is_lost(relay: Relay) -> None:
    for seed in range(12):
        chance = random.Random(seed)
        model = Model(relay, f"model{seed}@{DOMAIN}")
        for _ in range(25):
            step = chance.choices(("publish", "delete", "all", "expire"), (12, 8, 1, 1))[0]
            if step == "publish":
                await model.publish()
            elif step == "delete":
                await model.delete(chance)
            elif step == "all":
                await model.delete_all()
            else:
                await model.expire()
        for after, message in enumerate(model.ids, start=1):
            assert await model.read(After(message)) == model.expected(after), (seed, after)
        assert await model.read(Since(0)) == model.expected(0), seed
        assert (await model.mailbox.count(ACCOUNT, model.inbox)).messages == len(model.kept)
        rows, [*letters] = await relay.process.service.store.ask(
            ("XRANGE", keys.index(model.inbox), "-", "+"), ("KEYS", keys.letter(model.inbox, "*"))
        )
        assert [entry.decode() for entry, _ in rows] == [message.entry for message in model.kept]
        assert {name.decode() for name in letters} == {
            keys.letter(model.inbox, message.place) for message in model.kept
        }


@pytest.mark.settings(keep_messages=4)
async def test_tombstones_are_few(relay: Relay) -> None:
    """Every second is deleted, the others are trimmed: no range meets another."""
    inbox = f"any@{DOMAIN}"
    for number in range(40):
        message_id = await relay.send("x", inbox)
        if number % 2:
            await relay.rest("DELETE", f"/api/addresses/{inbox}/messages/{message_id}")
    name = keys.deleted(inbox, MessageId.parse(message_id).epoch)
    store = relay.process.service.store
    [count, left_ms] = await store.ask(("ZCARD", name), ("PTTL", name))
    assert count == 4 + 2
    assert left_ms > 0


async def test_where_an_inbox_begins_is_found_without_its_oldest_letter(relay: Relay) -> None:
    """Which Redis would copy, however large, before it answers anybody else: the row is enough."""
    service = relay.process.service
    ids = [MessageId.parse(await relay.send("x")) for _ in range(3)]
    await service.store.ask(("DEL", *(keys.letter(ADDRESS, message.place) for message in ids)))
    await service.mailbox.changes.delete(ACCOUNT, ADDRESS, str(ids[0]))
    assert await service.letterbox.floor(ADDRESS, ids[2]) == (ids[0].ms, ids[0].seq)
    await service.store.ask(("XDEL", keys.index(ADDRESS), ids[1].entry))
    assert await service.letterbox.floor(ADDRESS, ids[2]) == (ids[2].ms, ids[2].seq)


@given(st.sets(st.integers(1, 40)), st.integers(1, 40), st.integers(1, 40))
def test_covers_is_what_its_name_says(seqs: set[int], first: int, last: int) -> None:
    ranges: list[list[int]] = []
    for seq in sorted(seqs):
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1][1] = seq
        else:
            ranges.append([seq, seq])
    deleted = Tombstones(b"%d-%d-0" % (low, high) for low, high in ranges)
    if first <= last:
        assert deleted.covers(first, last) == (set(range(first, last + 1)) <= seqs)
