"""A program that follows its mail with relay.client: it comes back by itself, and records what it gets."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from relay.client import Backoff, Gap, listen
from relay.client.errors import Lost
from tests.bad_days.record import Record
from tests.harness import KEY


class Waits(Backoff):
    """relay.client's own; remembers how long it had its clients wait after a restart of their server."""

    def __init__(self, *, hurry: float = 1, **options: Any) -> None:
        """``hurry``: so many times faster than it says."""
        super().__init__(sleep=lambda seconds: asyncio.sleep(seconds / hurry), **options)
        self.after_restarts: list[float] = []

    def next_seconds(self, lost: Lost) -> float:
        """The first wait of each, in seconds."""
        seconds = super().next_seconds(lost)
        if lost.restarts:
            self.after_restarts.append(seconds)
        return seconds


class Follower(Record):
    """``async with Follower(…) as follower``: it listens from the start on."""

    def __init__(self, url: str, address: str, waits: Waits) -> None:
        super().__init__(address)
        self._messages = listen(
            url, key=KEY, addresses=[address], backoff=waits, on_gap=self._take_gap, ping_seconds=60
        )
        self._following: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._messages.__aenter__()
        self._following = asyncio.create_task(self._follow(), name="follower")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        await self._messages.aclose()

    async def has(self, token: str) -> None:
        """Waits for a mail. Raises what ended the client."""
        while token not in self.tokens():
            if self._following is not None and self._following.done():
                await self._following
            self._news.clear()
            await self._news.wait()

    async def _follow(self) -> None:
        try:
            async for message in self._messages:
                self.take(message)
                self._news.set()
        finally:
            self._news.set()

    def _take_gap(self, gap: Gap) -> None:
        self.take({"status": 206, "inbox": gap.inbox, "after": gap.after, "next": gap.next, "reason": gap.reason})
