"""Every command that the queue of fetches takes, for each kind of Redis."""

from __future__ import annotations

from relay.queues.fetches import Fetches, Lease
from relay.store import Store


async def use_fetches(store: Store) -> None:
    """No provider with an API key here announces anything."""
    queue = Fetches(store)
    fetch_id, new = await queue.add("brevo", "event", b"first", keep_seconds=60)
    assert new
    assert await queue.add("brevo", "event", b"first", keep_seconds=60) == (fetch_id, False)
    lease = await queue.take()
    assert isinstance(lease, Lease)
    assert await queue.hold(lease, b"step")
    assert await queue.put_back(lease, seconds=0)
    lease = await queue.take()
    assert isinstance(lease, Lease)
    assert lease.step == b"step"
    assert await queue.finish(lease)
    assert await queue.take() == float("inf")
