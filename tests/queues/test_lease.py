"""The queue with leases: bounded, each entry once, and nobody's for longer than a lease."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

import pytest
import redis

from relay import store
from relay.errors import TooLarge, Unavailable
from relay.queues.lease import LeasedEntry, LeaseQueue, QueueFull
from relay.store import Store
from tests.queues.stored import asked, bytes_counted, entry_of, let_time_pass, stored

pytestmark = pytest.mark.anyio

KEY = "relay:{test-queue}"
LEASE_SECONDS = 120


def opened_queue(store: Store, *, lease_seconds: float = LEASE_SECONDS) -> LeaseQueue:
    return LeaseQueue(store, KEY, labels=("owner",), contents=("state", "mail"), lease_seconds=lease_seconds)


@pytest.fixture
def queue(opened: Store) -> LeaseQueue:
    return opened_queue(opened)


@pytest.fixture
def other(beside: Store) -> LeaseQueue:
    """The same queue in another process."""
    return opened_queue(beside)


async def add(
    queue: LeaseQueue,
    entry_id: str = "1",
    mail: bytes = b"mail",
    *,
    keep_seconds: float = 3600,
    max_entries: int = 10_000,
    max_bytes: int = 1_000_000,
) -> bool:
    fields = {"owner": b"user1", "state": b"", "mail": mail}
    return await queue.add(
        entry_id, fields, keep_seconds=keep_seconds, max_entries=max_entries, max_bytes=max_bytes
    )


async def taken(queue: LeaseQueue) -> LeasedEntry:
    entry = await queue.take()
    assert isinstance(entry, LeasedEntry)
    return entry


async def seconds_left(queue: LeaseQueue) -> float:
    """Until the next is due; none is now."""
    seconds = await queue.take()
    assert isinstance(seconds, float)
    return seconds


# One entry, from add to finish


async def test_what_is_added_is_taken_as_it_came_and_by_one(queue: LeaseQueue, other: LeaseQueue) -> None:
    mail = bytes(range(256))
    assert await seconds_left(queue) == float("inf")
    assert await add(queue, mail=mail)
    assert queue.changed.is_set()
    entry = await taken(queue)
    assert entry.fields == {"owner": b"user1", "state": b"", "mail": mail}
    assert (entry.id, entry.tries, entry.overdue, queue.waiting) == ("1", 1, False, 1)
    assert LEASE_SECONDS - 30 < await seconds_left(other) <= LEASE_SECONDS  # it is due when the lease is over
    assert other.waiting == 1
    assert await queue.finish(entry)
    assert await seconds_left(other) == float("inf")
    assert other.waiting == 0


async def test_nothing_stays_in_redis_of_what_is_finished(queue: LeaseQueue, opened: Store) -> None:
    await add(queue)
    entry = await taken(queue)
    await queue.hold(entry, {"state": b"half"})
    await queue.finish(entry)
    assert await stored(opened, KEY) == ({}, 0, {})
    assert await entry_of(opened, KEY, "1") == {}


async def test_the_same_id_is_added_once_until_it_is_finished(queue: LeaseQueue, other: LeaseQueue) -> None:
    assert await add(queue)
    assert not await add(other, mail=b"other bytes")
    entry = await taken(queue)
    assert not await add(other, mail=b"other bytes")
    await queue.put_back(entry, seconds=0)
    assert not await add(other, mail=b"other bytes")
    entry = await taken(other)
    assert entry.fields["mail"] == b"mail"
    await other.finish(entry)
    assert await add(queue, mail=b"other bytes")


async def test_what_is_noted_is_there_for_who_takes_it_next(queue: LeaseQueue, opened: Store) -> None:
    await add(queue)
    entry = await taken(queue)
    assert await queue.hold(entry, {"state": b"recipient 1 has it"})
    assert await bytes_counted(opened, KEY) == len(b"mail") + len(b"recipient 1 has it")
    assert await queue.hold(entry)
    assert await queue.put_back(entry, seconds=0)
    entry = await taken(queue)
    assert entry.fields == {"owner": b"user1", "state": b"recipient 1 has it", "mail": b"mail"}
    assert await queue.put_back(entry, seconds=0, contents={"state": b"", "mail": b"m"})
    entry = await taken(queue)
    assert (entry.fields["state"], entry.fields["mail"], entry.tries) == (b"", b"m", 3)
    assert await bytes_counted(opened, KEY) == len(b"m")


async def test_a_field_that_the_queue_does_not_have_is_a_mistake(queue: LeaseQueue) -> None:
    with pytest.raises(ValueError, match="owner, state, mail"):
        await queue.add("1", {"owner": b""}, keep_seconds=1, max_entries=1, max_bytes=1)
    await add(queue)
    entry = await taken(queue)
    for name in ("owner", "lease"):  # a label never changes; the queue's own fields are not the caller's
        with pytest.raises(ValueError, match=name):
            await queue.hold(entry, {name: b"x"})


def test_names_of_the_queue_itself_are_not_given_to_fields() -> None:
    nowhere = store.connect("memory://", timeout_seconds=1)
    with pytest.raises(ValueError, match="tries"):
        LeaseQueue(nowhere, KEY, labels=(), contents=("tries",), lease_seconds=1)


async def test_an_entry_without_fields_of_its_own(opened: Store) -> None:
    """As a retry of a message that is kept elsewhere."""
    queue = LeaseQueue(opened, KEY, labels=(), contents=(), lease_seconds=LEASE_SECONDS)
    assert await queue.add("1", {}, keep_seconds=60, max_entries=1, max_bytes=0)
    entry = await taken(queue)
    assert (entry.fields, entry.tries) == ({}, 1)
    assert await queue.put_back(entry, seconds=0)
    assert await queue.finish(await taken(queue))
    assert await stored(opened, KEY) == ({}, 0, {})


# Whose it is


async def test_who_is_killed_loses_the_entry_when_the_lease_is_over(
    queue: LeaseQueue, other: LeaseQueue, opened: Store
) -> None:
    await add(queue)
    killed = await taken(queue)
    await let_time_pass(opened, KEY, LEASE_SECONDS - 30)
    assert 0 < await seconds_left(other) <= 30
    await let_time_pass(opened, KEY, 30)
    entry = await taken(other)
    assert (entry.id, entry.tries) == (killed.id, 2)
    assert entry.token != killed.token


async def test_who_holds_an_entry_keeps_it(queue: LeaseQueue, other: LeaseQueue, opened: Store) -> None:
    await add(queue)
    entry = await taken(queue)
    for _ in range(3):
        await let_time_pass(opened, KEY, LEASE_SECONDS - 30)
        assert await queue.hold(entry)
    assert LEASE_SECONDS - 30 < await seconds_left(other) <= LEASE_SECONDS
    assert await queue.finish(entry)


async def test_who_is_late_still_has_what_nobody_took(queue: LeaseQueue, opened: Store) -> None:
    await add(queue)
    entry = await taken(queue)
    await let_time_pass(opened, KEY, LEASE_SECONDS + 1)
    assert await queue.hold(entry)
    assert await seconds_left(queue) > 0


@pytest.mark.parametrize("fate", ["taken", "put back", "finished", "added anew"])
async def test_who_comes_back_after_the_lease_changes_nothing(
    queue: LeaseQueue, other: LeaseQueue, opened: Store, fate: str
) -> None:
    await add(queue)
    late = await taken(queue)
    await let_time_pass(opened, KEY, LEASE_SECONDS)
    entry = await taken(other)
    if fate == "put back":
        assert await other.put_back(entry, seconds=60)
    elif fate in ("finished", "added anew"):
        assert await other.finish(entry)
    if fate == "added anew":
        await add(other)
    before = await stored(opened, KEY)
    assert not await queue.hold(late)
    assert not await queue.hold(late, {"state": b"x"})
    assert not await queue.put_back(late, seconds=0, contents={"state": b"x"})
    assert not await queue.finish(late)
    assert await stored(opened, KEY) == before
    if fate == "taken":
        assert await other.finish(entry)


async def test_a_token_ends_with_put_back_and_finish(queue: LeaseQueue) -> None:
    await add(queue)
    entry = await taken(queue)
    assert await queue.put_back(entry, seconds=0)
    assert not await queue.put_back(entry, seconds=0)
    assert not await queue.finish(entry)
    entry = await taken(queue)
    assert await queue.finish(entry)
    assert not await queue.finish(entry)


async def test_two_processes_never_hold_the_same(queue: LeaseQueue, other: LeaseQueue) -> None:
    """Eight takers of two processes; each gives every third entry back, and all that they hold at once is different."""
    count = 60
    for number in range(count):
        await add(queue, str(number))
    held: set[str] = set()
    finished: Counter[str] = Counter()

    async def work(process: LeaseQueue) -> None:
        while isinstance(entry := await process.take(), LeasedEntry):
            assert entry.id not in held
            held.add(entry.id)
            assert await process.hold(entry, {"state": entry.token.encode()})
            held.remove(entry.id)  # before it is told: from then on another may have it
            if entry.tries == 1 and int(entry.id) % 3 == 0:
                assert await process.put_back(entry, seconds=0)
            else:
                assert await process.finish(entry)
                finished[entry.id] += 1

    await asyncio.gather(*(work(process) for process in (queue, other) * 4))
    assert finished == Counter({str(number): 1 for number in range(count)})


# When it is due


async def test_what_is_put_back_waits(queue: LeaseQueue, opened: Store) -> None:
    await add(queue)
    queue.changed.clear()
    await queue.put_back(await taken(queue), seconds=300)
    assert queue.changed.is_set()
    assert 270 < await seconds_left(queue) <= 300
    await let_time_pass(opened, KEY, 300)
    assert (await taken(queue)).tries == 2


async def test_the_longest_due_comes_first(queue: LeaseQueue, opened: Store) -> None:
    """What was put back has its turn by when it is due, not by when it was added."""
    pauses = {"a": 300, "b": 100, "c": 200}
    for entry_id in pauses:
        await add(queue, entry_id)
        entry = await taken(queue)
        await queue.put_back(entry, seconds=pauses[entry.id])
    assert 70 < await seconds_left(queue) <= 100
    await let_time_pass(opened, KEY, 250)
    await add(queue, "new")
    assert [(await taken(queue)).id for _ in range(3)] == ["b", "c", "new"]
    assert 20 < await seconds_left(queue) <= 50
    await let_time_pass(opened, KEY, 50)
    assert (await taken(queue)).id == "a"
    assert queue.waiting == 4


async def test_after_its_time_it_is_overdue_and_still_given_out(queue: LeaseQueue, opened: Store) -> None:
    await add(queue, keep_seconds=3600)
    await let_time_pass(opened, KEY, 3500)
    entry = await taken(queue)
    assert not entry.overdue
    await queue.put_back(entry, seconds=0)
    await let_time_pass(opened, KEY, 100)
    entry = await taken(queue)
    assert entry.overdue
    await queue.put_back(entry, seconds=0)
    assert (await taken(queue)).overdue


# Bounds and losses


async def test_entries_and_bytes_are_bounded(queue: LeaseQueue, opened: Store) -> None:
    with pytest.raises(TooLarge):
        await add(queue, "0", b"x" * 101, max_bytes=100)
    await add(queue, "1", b"x" * 60, max_bytes=100)
    with pytest.raises(QueueFull):
        await add(queue, "2", b"x" * 41, max_bytes=100)
    await add(queue, "2", b"x" * 40, max_bytes=100)
    await queue.finish(await taken(queue))
    await add(queue, "3", b"", max_entries=2, max_bytes=100)
    with pytest.raises(QueueFull):
        await add(queue, "4", b"", max_entries=2, max_bytes=100)
    assert not await add(queue, "3", max_entries=2, max_bytes=100)  # what is there already is there
    assert await bytes_counted(opened, KEY) == 40
    assert await entry_of(opened, KEY, "4") == {}


async def test_full_is_a_reason_to_come_again() -> None:
    assert (QueueFull("").status, QueueFull("").headers) == (503, {"retry-after": "5"})


async def test_entries_that_are_lost_hold_up_nobody(queue: LeaseQueue, opened: Store) -> None:
    """As when Redis evicts their hashes. One take clears a few, so that its time is bounded; the next goes on."""
    for number in range(250):
        await asked(opened, "ZADD", KEY, number, f"lost-{number}")
    await asked(opened, "SET", f"{KEY}:bytes", 1000)
    await add(queue, "kept")
    for _ in range(2):
        assert await seconds_left(queue) == 0
    entry = await taken(queue)
    assert (entry.id, queue.waiting) == ("kept", 1)
    await queue.finish(entry)
    assert await bytes_counted(opened, KEY) == 0  # what the lost ones took does not fill the queue for ever


async def test_a_lost_entry_can_be_added_anew(queue: LeaseQueue, opened: Store) -> None:
    await add(queue)
    await asked(opened, "DEL", f"{KEY}:1")
    assert await add(queue)
    await queue.finish(await taken(queue))
    assert await stored(opened, KEY) == ({}, 0, {})


async def test_redis_away_is_unavailable(anyio_backend: object) -> None:
    gone = store.connect("redis://127.0.0.1:1", timeout_seconds=5)
    queue = opened_queue(gone)
    with pytest.raises(Unavailable):
        await queue.take()
    await gone.close()


async def test_what_redis_refuses_is_unavailable(queue: LeaseQueue, opened: Store) -> None:
    await asked(opened, "SET", KEY, "not a queue")
    with pytest.raises(Unavailable, match="Redis refused"):
        await queue.take()


# What it costs


async def test_no_call_costs_more_when_more_entries_wait(empty_redis_url: str) -> None:
    """Counted in commands of Redis, of which none here reads more than one entry."""
    opened = store.connect(empty_redis_url, timeout_seconds=10)
    queue = opened_queue(opened)
    costs = []
    with redis.Redis.from_url(empty_redis_url) as client:
        for waiting in (0, 1, 2000):  # first all scripts get known
            await asyncio.gather(*(add(queue, f"{waiting}-{number}") for number in range(waiting)))
            client.config_resetstat()
            await add(queue, f"{waiting}-last")
            entry = await taken(queue)
            await queue.hold(entry, {"state": b"x"})
            await queue.put_back(entry, seconds=0)
            await queue.finish(await taken(queue))
            costs.append({name: calls["calls"] for name, calls in client.info("commandstats").items()})
    await opened.close()
    assert costs[1] == costs[2]
    read = {re.sub(r"^cmdstat_|\|.*", "", name) for name in costs[2]}  # before Redis 7 without the subcommand
    assert read - {"eval", "evalsha", "config", "info"} <= {
        "time", "exists", "get", "set", "zcard", "zadd", "zrem", "zrange", "hset", "hmget", "hget", "hstrlen", "del"
    }  # fmt: skip
