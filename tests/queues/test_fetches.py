"""The queue of mails that are still to be fetched: what is its own. Leases are those of test_lease.py."""

from __future__ import annotations

import pytest

from relay.errors import TooLarge, Unavailable
from relay.queues import fetches
from relay.queues.fetches import Fetches, Lease
from relay.store import Store, keys
from tests.queues.stored import bytes_counted

pytestmark = pytest.mark.anyio


@pytest.fixture
def queue(opened: Store) -> Fetches:
    return Fetches(opened)


async def add(queue: Fetches, event: str = "1", first: bytes = b"first", *, keep_seconds: int = 60) -> str:
    fetch_id, new = await queue.add("brevo", event, first, keep_seconds=keep_seconds)
    assert new
    return fetch_id


async def taken(queue: Fetches) -> Lease:
    lease = await queue.take()
    assert isinstance(lease, Lease)
    return lease


async def test_what_is_added_is_taken_as_it_came_and_by_one(queue: Fetches) -> None:
    first = bytes(range(256))
    fetch_id = await add(queue, first=first)
    assert queue.changed.is_set()
    lease = await taken(queue)
    assert (lease.id, lease.provider, lease.first, lease.step) == (fetch_id, "brevo", first, b"")
    assert (lease.tries, lease.overdue, queue.waiting) == (1, False, 1)
    assert 119 < float(str(await queue.take())) <= 120  # it would be due when the lease is over
    assert await queue.finish(lease)
    assert await queue.take() == float("inf")
    assert queue.waiting == 0


async def test_the_same_event_again_is_the_same(queue: Fetches) -> None:
    fetch_id = await add(queue)
    assert await queue.add("brevo", "1", b"other bytes", keep_seconds=60) == (fetch_id, False)
    assert (await queue.add("resend", "1", b"first", keep_seconds=60))[0] != fetch_id
    leases = {lease.id: lease for lease in [await taken(queue), await taken(queue)]}
    assert leases[fetch_id].first == b"first"
    assert await queue.add("brevo", "1", b"other bytes", keep_seconds=60) == (fetch_id, False)
    await queue.finish(leases[fetch_id])
    await add(queue)


async def test_a_step_is_noted_and_can_be_taken_back(queue: Fetches, opened: Store) -> None:
    await add(queue)
    lease = await taken(queue)
    assert await queue.hold(lease, b"the second step")
    assert await bytes_counted(opened, keys.FETCHES) == len(b"first") + len(b"the second step")
    assert await queue.hold(lease)
    assert await queue.put_back(lease, seconds=0)
    lease = await taken(queue)
    assert (lease.step, lease.tries) == (b"the second step", 2)
    assert await queue.put_back(lease, seconds=0, step=b"")
    lease = await taken(queue)
    assert (lease.first, lease.step, lease.tries) == (b"first", b"", 3)
    assert await bytes_counted(opened, keys.FETCHES) == len(b"first")
    await queue.finish(lease)
    assert await bytes_counted(opened, keys.FETCHES) == 0


async def test_entries_and_bytes_are_bounded(queue: Fetches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetches, "MAX_ENTRIES", 2)
    monkeypatch.setattr(fetches, "MAX_BYTES", 100)
    with pytest.raises(TooLarge):
        await queue.add("brevo", "0", b"x" * 101, keep_seconds=60)
    await add(queue, "1", b"x" * 60)
    with pytest.raises(Unavailable, match="still to be fetched"):
        await queue.add("brevo", "2", b"x" * 41, keep_seconds=60)
    await add(queue, "2", b"x" * 40)
    await queue.finish(await taken(queue))
    await add(queue, "3", b"")
    with pytest.raises(Unavailable):
        await queue.add("brevo", "4", b"", keep_seconds=60)
    assert not (await queue.add("brevo", "3", b"", keep_seconds=60))[1]  # what is there already is there
