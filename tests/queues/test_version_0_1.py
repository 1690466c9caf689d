"""A process of version 0.1 and one of this version share the queue of fetches, as during a rolling update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from relay.errors import Unavailable
from relay.queues import fetches
from relay.store import Store
from tests.queues import fetches_0_1
from tests.queues.stored import entry_of, let_time_pass, stored

pytestmark = pytest.mark.anyio

KEY = fetches_0_1.FETCHES
FIRST, STEP = bytes(range(256)), b"\xffthe second step"

AnyFetches = fetches_0_1.Fetches | fetches.Fetches
AnyLease = fetches_0_1.Lease | fetches.Lease


@dataclass(frozen=True)
class Sides:
    """Two processes at one Redis."""

    one: fetches.Fetches  # or that of version 0.1: their methods are called alike
    other: fetches.Fetches


@pytest.fixture(params=["0.1 adds", "0.1 takes", "both are of this version"])
def sides(request: pytest.FixtureRequest, opened: Store, beside: Store) -> Sides:
    old, new = cast("fetches.Fetches", fetches_0_1.Fetches(opened)), fetches.Fetches(beside)
    if request.param == "0.1 adds":
        return Sides(old, new)
    return Sides(new, old) if request.param == "0.1 takes" else Sides(fetches.Fetches(opened), new)


async def taken(queue: AnyFetches) -> fetches.Lease:
    lease = await queue.take()
    assert not isinstance(lease, float)
    return cast("fetches.Lease", lease)


def facts(lease: AnyLease) -> tuple[str, str, bytes, bytes, int, bool]:
    provider = lease.sender if isinstance(lease, fetches_0_1.Lease) else lease.provider
    return lease.id, provider, lease.first, lease.step, lease.tries, lease.overdue


async def add(queue: AnyFetches, event: str = "1") -> str:
    fetch_id, new = await queue.add("brevo", event, FIRST, keep_seconds=60)
    assert new
    return fetch_id


async def test_what_one_adds_the_other_takes_puts_back_and_finishes(sides: Sides, opened: Store) -> None:
    fetch_id = await add(sides.one)
    assert await sides.other.add("brevo", "1", b"again", keep_seconds=60) == (fetch_id, False)
    lease = await taken(sides.other)
    assert facts(lease) == (fetch_id, "brevo", FIRST, b"", 1, False)
    assert 90 < cast("float", await sides.one.take()) <= 120
    assert await sides.other.hold(lease, STEP)
    assert await sides.other.put_back(lease, seconds=0)
    lease = await taken(sides.one)
    assert facts(lease) == (fetch_id, "brevo", FIRST, STEP, 2, False)
    assert await sides.one.put_back(lease, seconds=0, step=b"")
    await let_time_pass(opened, KEY, 60)
    lease = await taken(sides.other)
    assert facts(lease) == (fetch_id, "brevo", FIRST, b"", 3, True)
    assert await sides.other.finish(lease)
    assert await stored(opened, KEY) == ({}, 0, {})
    assert await sides.one.take() == await sides.other.take() == float("inf")
    assert sides.one.waiting == sides.other.waiting == 0


async def test_a_lease_of_one_holds_against_the_other_until_it_is_over(sides: Sides, opened: Store) -> None:
    await add(sides.one)
    late = await taken(sides.one)
    await let_time_pass(opened, KEY, 120)
    lease = await taken(sides.other)
    before = await stored(opened, KEY)
    assert not await sides.one.hold(late, STEP)
    assert not await sides.one.put_back(late, seconds=0, step=STEP)
    assert not await sides.one.finish(late)
    assert await stored(opened, KEY) == before
    assert await sides.other.finish(lease)


async def test_both_leave_the_same_in_redis(opened: Store) -> None:
    """Keys, fields and counter, at each step; tokens and times are their own."""
    left = []
    for queue in (fetches_0_1.Fetches(opened), fetches.Fetches(opened)):
        steps = [await state(opened, await add(queue))]
        lease = await taken(queue)
        steps.append(await state(opened, lease.id))
        await queue.hold(lease, STEP)  # type: ignore[arg-type]
        steps.append(await state(opened, lease.id))
        await queue.put_back(lease, seconds=0)  # type: ignore[arg-type]
        steps.append(await state(opened, lease.id))
        lease = await taken(queue)
        await queue.put_back(lease, seconds=0, step=b"")  # type: ignore[arg-type]
        steps.append(await state(opened, lease.id))
        await queue.finish(await taken(queue))  # type: ignore[arg-type]
        steps.append(await state(opened, lease.id))
        left.append(steps)
    assert left[0] == left[1]


async def state(opened: Store, fetch_id: str) -> tuple[list[bytes], int, dict[bytes, bytes]]:
    due, counted, _ = await stored(opened, KEY)
    entry = await entry_of(opened, KEY, fetch_id)
    if entry:
        entry[b"lease"] = b"a token" if len(entry[b"lease"]) == 16 else entry[b"lease"]
        assert abs(float(entry.pop(b"until")) - max(due.values()) - 60_000) < 200_000
    return list(due), counted, entry


async def test_both_count_alike(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (fetches_0_1, fetches):
        monkeypatch.setattr(module, "MAX_BYTES", 2 * len(FIRST) + len(STEP))
    await add(sides.one)
    await add(sides.other, "2")
    lease = await taken(sides.other)
    await sides.other.hold(lease, STEP)
    for queue in (sides.one, sides.other):
        with pytest.raises(Unavailable, match="still to be fetched"):
            await queue.add("brevo", "3", b"x", keep_seconds=60)
    await sides.one.finish(lease)
    await add(sides.other, "3")
    for _ in range(2):
        await sides.other.finish(await taken(sides.one))
    assert await sides.one.take() == float("inf")
