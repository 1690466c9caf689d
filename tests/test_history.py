"""What a reader gets who comes back: every letter after where it stood, and a gap wherever one may be missing."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from relay import store
from relay.delivery.bus import (
    Bus,
    IdempotencyKey,
    Published,
    Unwanted,
)
from relay.delivery.history import (
    After,
    OldestFirst,
    Since,
    Start,
)
from relay.delivery.letter import Gap
from relay.delivery.letterbox import Letterbox
from relay.letters.retention import Retention
from relay.message_id import MessageId
from relay.store import Store, keys
from tests.sealed import kept

pytestmark = pytest.mark.anyio

A, B, OWNER = "a@x.test", "b@x.test", "user1"
KEEP_MESSAGES, KEEP_SECONDS = 5, 3600


async def nothing_lost() -> bool:
    return False


@dataclass
class Redis:
    """A store with two reserved inboxes, and what a test does to it."""

    store: Store
    bus: Bus
    letterbox: Letterbox

    async def publish(self, subject: str, inbox: str = A, *, event: IdempotencyKey | None = None) -> MessageId:
        outcome = await self.bus.publish(inbox, kept(b'{"subject":"%b"}' % subject.encode(), inbox), event)
        assert isinstance(outcome, Published)
        return MessageId.parse(outcome.message_id)

    async def many(self, count: int, inbox: str = A) -> list[MessageId]:
        return [await self.publish(str(number), inbox) for number in range(count)]

    async def read(self, **starts: Start) -> list[str]:
        """Subjects and gaps, from where the readers of ``a`` and ``b`` stand."""
        history = OldestFirst(self.letterbox, {f"{name}@x.test": start for name, start in starts.items()})
        got: list[str] = []
        while item := await history.next():
            got.append(f"gap {item.reason}" if isinstance(item, Gap) else item.frame.split(b'"')[-2].decode())
        return got

    async def ask(self, *command: str | int) -> object:
        [reply] = await self.store.ask(command)
        return reply


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    opened = store.connect(redis_url, timeout_seconds=5)
    limits = {"keep_messages": KEEP_MESSAGES, "keep_seconds": KEEP_SECONDS}
    redis = Redis(
        opened,
        Bus(opened, Retention(KEEP_MESSAGES, 1_000_000_000, KEEP_SECONDS), restore=nothing_lost, note_due=None),
        Letterbox(opened.with_own_queue(), **limits),
    )
    for inbox in (A, B):
        await redis.ask("HSET", keys.address(inbox), "owner", OWNER, "enablews", "1")
    yield redis
    await opened.close()


async def test_letters_after_a_message(redis: Redis) -> None:
    ids = await redis.many(4)
    assert await redis.read(a=After(ids[1])) == ["2", "3"]
    assert await redis.read(a=After(ids[3])) == []
    assert await redis.read(a=Since(ids[0].ms)) == ["0", "1", "2", "3"]


async def test_ids_count_without_a_hole_and_sort(redis: Redis) -> None:
    ids = await redis.many(4)
    assert [one.seq for one in ids] == [1, 2, 3, 4]
    assert len({one.stream for one in ids}) == 1
    assert sorted(ids) == ids


async def test_oldest_first_over_all_inboxes(redis: Redis) -> None:
    first = await redis.publish("0"), await redis.publish("0", B)
    for subject, inbox in (("1", A), ("2", B), ("3", B), ("4", A)):
        await redis.publish(subject, inbox)
        while await redis.letterbox.now_ms() == (await redis.letterbox.tops([inbox]))[inbox].last.ms:  # type: ignore[union-attr]
            pass  # the next is of a later millisecond
    assert await redis.read(a=After(first[0]), b=After(first[1])) == ["1", "2", "3", "4"]


async def test_no_more_is_kept_than_was_said(redis: Redis) -> None:
    ids = await redis.many(KEEP_MESSAGES + 4)
    assert await redis.ask("XLEN", keys.index(A)) == KEEP_MESSAGES
    assert await redis.read(a=After(ids[0])) == ["gap trimmed", "4", "5", "6", "7", "8"]
    assert await redis.read(a=After(ids[3])) == ["4", "5", "6", "7", "8"]  # trimmed too, but nothing after it
    assert await redis.read(a=Since(0)) == ["gap trimmed", "4", "5", "6", "7", "8"]
    assert await redis.read(a=Since(ids[4].ms + 3_600_000)) == []


async def test_letters_too_old_are_a_gap(redis: Redis) -> None:
    ids = await redis.many(3)
    await redis.ask("DEL", keys.index(A))  # as its expiry does
    assert await redis.read(a=After(ids[0])) == ["gap expired"]
    assert await redis.read(a=After(ids[2])) == []
    assert await redis.read(a=Since(ids[0].ms)) == ["gap expired"]
    await redis.publish("new")
    assert await redis.read(a=After(ids[2])) == ["new"]
    assert await redis.read(a=After(ids[1])) == ["gap expired", "new"]


async def test_a_count_that_is_lost_is_a_gap(redis: Redis) -> None:
    ids = await redis.many(3)
    await redis.ask("DEL", keys.index(A), keys.meta(A))
    assert await redis.read(a=After(ids[2])) == ["gap epoch"]
    await redis.publish("new")
    assert await redis.read(a=After(ids[2])) == ["gap epoch", "new"]
    assert await redis.read(a=Since(0)) == ["new"]


async def test_last_writes_that_redis_lost_are_a_gap(redis: Redis) -> None:
    """A replica that lagged was promoted, unnoticed: other messages get the numbers of those that are lost."""
    ids = await redis.many(4)
    await redis.ask("XDEL", keys.index(A), ids[2].entry, ids[3].entry)
    await redis.ask("HSET", keys.meta(A), "seq", ids[1].seq)
    assert await redis.read(a=After(ids[3])) == ["gap epoch"]
    await redis.publish("other 2")
    assert await redis.read(a=After(ids[3])) == ["gap epoch", "other 2"]
    await redis.publish("other 3")
    await redis.publish("other 4")
    assert await redis.read(a=After(ids[3])) == ["gap epoch", "other 2", "other 3", "other 4"]
    assert await redis.read(a=After(ids[1])) == ["other 2", "other 3", "other 4"]


async def test_a_redis_with_another_history_begins_another_epoch(redis: Redis) -> None:
    await redis.ask("SET", keys.REDIS_LINEAGE, "one")
    ids = await redis.many(2)
    await redis.ask("SET", keys.REDIS_LINEAGE, "two")
    other = await redis.publish("2")
    assert other.stream != ids[0].stream
    assert other.seq == 3
    assert await redis.read(a=After(ids[0])) == ["1", "gap epoch", "2"]
    assert (await redis.publish("3")).stream == other.stream
    await redis.ask("DEL", keys.REDIS_LINEAGE)  # not known is not another
    assert (await redis.publish("4")).stream == other.stream


async def test_a_letter_that_was_deleted_while_a_reader_is_on_its_way_is_a_gap(redis: Redis) -> None:
    ids = await redis.many(4)
    await redis.ask("XDEL", keys.index(A), ids[2].entry)
    assert await redis.read(a=After(ids[0])) == ["1", "gap expired", "3"]


async def test_large_letters_are_read_one_by_one_and_put_back(redis: Redis) -> None:
    """More than is kept in memory of what is ahead; the order stays."""
    first = await redis.publish("0"), await redis.publish("0", B)
    for number in range(4):
        for inbox in (A, B):
            large = b'{"x":"%b","subject":"%d"}' % (
                random.Random(number).randbytes(4_000_000).hex().encode(),
                number,
            )
            assert isinstance(await redis.bus.publish(inbox, kept(large, inbox)), Published)
    got = await redis.read(a=After(first[0]), b=After(first[1]))
    assert sorted(got) == ["0", "0", "1", "1", "2", "2", "3", "3"]
    assert got == sorted(got)


async def test_an_event_is_stored_once(redis: Redis) -> None:
    event = IdempotencyKey("raw\n1", 60)
    first = await redis.publish("once", event=event)
    again = await redis.bus.publish(A, kept(b'{"subject":"once"}', A), event)
    assert again == Published(str(first), repeated=True, owner=OWNER)
    assert (await redis.publish("other", event=IdempotencyKey("raw\n2", 60))).seq == 2
    assert (await redis.publish("other inbox", B, event=event)).seq == 1
    assert await redis.read(a=Since(0)) == ["once", "other"]


async def test_an_event_that_nobody_may_have_is_not_remembered(redis: Redis) -> None:
    event = IdempotencyKey("raw\n1", 60)
    await redis.ask("HSET", keys.address(A), "enablews", "0")
    assert await redis.bus.publish(A, kept(b"{}", A), event) == Unwanted("forwarding off", OWNER)
    await redis.ask("HSET", keys.address(A), "enablews", "1")
    assert (await redis.publish("now", event=event)).seq == 1


async def test_the_index_of_a_domain_forgets_what_is_not_kept(redis: Redis) -> None:
    old = await redis.publish("old")
    assert await redis.letterbox.domain_inboxes("x.test", 0) == [A]
    await redis.ask("ZADD", keys.domain_inboxes("x.test"), old.ms - KEEP_SECONDS * 1000 - 1, A)
    await redis.publish("new", B)
    assert await redis.letterbox.domain_inboxes("x.test", 0) == [B]
    assert await redis.letterbox.domain_inboxes("x.test", old.ms + 3_600_000) == []
