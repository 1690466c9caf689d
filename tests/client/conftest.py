"""A listener behind a link that a test can cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from relay.client import Backoff, Listener, listen
from tests.client.link import Link, link
from tests.harness import ADDRESS, KEY, Relay


class Client:
    """Makes listeners that wait for nothing, but note how long they would have."""

    def __init__(self, through: Link) -> None:
        self.link = through
        self.waits: list[float] = []

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    def listen(self, addresses: str = ADDRESS, **options: Any) -> Listener:
        backoff = Backoff(random=lambda: 0.5, sleep=self._sleep)
        return listen(self.link.url, **{"key": KEY, "addresses": addresses, "backoff": backoff, **options})


@pytest.fixture
async def client(relay: Relay) -> AsyncIterator[Client]:
    async with link(relay.port) as through:
        yield Client(through)


async def subjects(messages: Listener, count: int) -> list[str]:
    """Of the next messages."""
    return [str((await anext(messages))["subject"]) for _ in range(count)]
