"""Every command that dead letters take, for each kind of Redis."""

from __future__ import annotations

from datetime import UTC, datetime

from relay.queues.parked import MAX_BYTES, Parked
from relay.store import Store


async def use_dead_letters(store: Store) -> None:
    """No provider with a secret here parks anything."""
    room = Parked(store)
    now = datetime.now(UTC)
    post_id, _ = await room.add("raw", now, "reason", (), b"y" * 200)
    assert await room.add("raw", now, "reason", (), b"y" * 200) == (post_id, 0)
    await room.add("raw", now, "reason", (), b"x" * (MAX_BYTES - 100))
    [post] = await room.list()  # it displaced the other
    assert await room.body(post)
    assert await room.drop(post)
    assert await room.list() == []
