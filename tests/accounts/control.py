"""What the processes hear on the control channel, read by a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from relay.store import Store, keys
from relay.store.notices import Notice

_END = b"end of what is asked for"


class Control:
    """A subscription to ``keys.CONTROL``."""

    def __init__(self, store: Store, pubsub: Any) -> None:
        self._store = store
        self._pubsub = pubsub

    async def heard(self) -> list[Notice | None]:
        """The notices since the last call, complete: a mark of our own comes after them."""
        await self._store.client.publish(keys.CONTROL, _END)
        payloads: list[bytes] = []
        while not payloads or payloads[-1] != _END:
            event = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=None)
            if event is not None:
                payloads.append(event["data"])
        return [Notice.decode(payload) for payload in payloads[:-1]]


@asynccontextmanager
async def listen(store: Store) -> AsyncIterator[Control]:
    """Subscribed from the first line of the block on."""
    async with store.client.pubsub() as pubsub:
        await pubsub.subscribe(keys.CONTROL)
        confirmed = None
        while confirmed is None:
            confirmed = await pubsub.get_message(timeout=None)
        yield Control(store, pubsub)
