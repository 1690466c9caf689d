"""Reading events, and waiting for the next: woken by what this process writes; others' are looked for every second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from relay.activity.journal import MAX_EVENTS, Journal, Page, iso
from relay.activity.kinds import Kind
from relay.errors import TooManyRequests

MAX_WAIT_SECONDS = 60

_LOOK_SECONDS = 1.0
_WAITING_OF_ACCOUNT = 20
_WAITING_OF_ALL = 1000


class Reader:
    """For accounts. Raises Unavailable when Redis is away."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._bells: dict[str, set[asyncio.Event]] = {}  # of those who wait, by account
        self._waiting = 0
        self._leaving = False

    async def read(
        self,
        account: str,
        *,
        limit: int,
        since: str,
        inbox: str,
        wait_seconds: float,
        gone: Callable[[], Awaitable[bool]],
    ) -> Page:
        """As :meth:`Journal.page`; when there is none, waits for one. ``gone``: whether nobody wants the answer more.

        Raises BadCursor, and TooManyRequests when too many of the account wait in this process.
        """
        if not wait_seconds:
            return await self._journal.page(account, limit=limit, since=since, inbox=inbox)
        deadline = asyncio.get_running_loop().time() + wait_seconds
        with self._place(account) as bell:
            while True:
                bell.clear()
                page = await self._journal.page(account, limit=limit, since=since, inbox=inbox)
                since = page.cursor
                left = deadline - asyncio.get_running_loop().time()
                if page.events or left <= 0 or self._leaving or await gone():
                    return page
                await _rings(bell, min(left, _LOOK_SECONDS))

    async def near_misses(self, account: str, inbox: str, *, since_ms: int, limit: int) -> list[dict[str, Any]]:
        """The newest events of mail that just missed a canonical address, not older than a Unix time; oldest first."""
        page = await self._journal.page(account, limit=MAX_EVENTS, inbox=inbox)
        from_then = iso(since_ms)
        missed = [
            event
            for event in page.events
            if (event["kind"], event.get("near")) == (Kind.NEAR_MISS, inbox) and event["time"] >= from_then
        ]
        return missed[:limit][::-1]

    def wake(self, accounts: Collection[str]) -> None:
        """These accounts have new events."""
        for account in accounts:
            for bell in self._bells.get(account, ()):
                bell.set()

    def leave(self) -> None:
        """Answers all who wait, with what there is, and lets nobody wait any more."""
        self._leaving = True
        self.wake(list(self._bells))

    @contextmanager
    def _place(self, account: str) -> Iterator[asyncio.Event]:
        bells = self._bells.setdefault(account, set())
        if len(bells) >= _WAITING_OF_ACCOUNT or self._waiting >= _WAITING_OF_ALL:
            raise TooManyRequests(f"{len(bells)} requests of this account wait here already; wait with fewer")
        bell = asyncio.Event()
        bells.add(bell)
        self._waiting += 1
        try:
            yield bell
        finally:
            self._waiting -= 1
            bells.discard(bell)
            if not bells:
                self._bells.pop(account, None)


async def _rings(bell: asyncio.Event, seconds: float) -> None:
    """Returns then, or after that time."""
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        pass
