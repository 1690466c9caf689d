"""A queue before costly work: few requests at once, few of each account. Requests queue behind their own account's."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from relay.errors import BadRequest, TooManyRequests, Unavailable

WAITING_OF_ACCOUNT = 100
_WAITING_OF_ALL = 1000
_RETRY_SECONDS = 5  # until some of those who wait have had their turn

Gone = Callable[[], Awaitable[object]]


class FairQueue:
    """Of one process. An account waits behind its own requests, and accounts take turns."""

    def __init__(self, *, at_once: int, per_account: int, waiting_per_account: int = WAITING_OF_ACCOUNT) -> None:
        self._at_once = at_once
        self._per_account = per_account
        self._waiting_of_account = waiting_per_account
        self._taken: Counter[str] = Counter()  # by account
        # Those who wait, by account, in the order of the accounts' turns. A turn is free only when no account that
        # waits may have it.
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def slot(self, account_id: str, gone: Gone) -> AsyncIterator[None]:
        """Waits for a turn, which lasts as long as the block. ``gone`` returns when nobody wants the answer any more.

        Raises TooManyRequests: the account waits for too many; Unavailable: all do; BadRequest, to nobody: gone.
        """
        place = self._place(account_id)
        try:
            if not place.done():
                await _either(place, gone)
            if not place.done():
                raise BadRequest("the client hung up before its turn")
            yield
        finally:
            self._leave(account_id, place)

    def _place(self, account_id: str) -> asyncio.Future[None]:
        """Done when it is a turn."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._may(account_id):
            self._begin(account_id, place)
            return place
        waiting = len(self._lines.get(account_id, ()))
        if waiting >= self._waiting_of_account:
            raise TooManyRequests(
                f"{waiting} requests of this account wait for their turn already; ask for fewer at a time",
                retry_seconds=_RETRY_SECONDS,
            )
        if sum(map(len, self._lines.values())) >= _WAITING_OF_ALL:
            raise Unavailable("too many requests wait for their turn; try again")
        self._lines.setdefault(account_id, deque()).append(place)
        return place

    def _may(self, account_id: str) -> bool:
        return self._taken.total() < self._at_once and self._taken[account_id] < self._per_account

    def _begin(self, account_id: str, place: asyncio.Future[None]) -> None:
        self._taken[account_id] += 1
        place.set_result(None)

    def _leave(self, account_id: str, place: asyncio.Future[None]) -> None:
        if not place.done():
            line = self._lines[account_id]
            line.remove(place)
            if not line:
                del self._lines[account_id]
            return
        self._taken[account_id] -= 1
        self._taken = +self._taken
        while following := next(filter(self._may, self._lines), None):
            line = self._lines.pop(following)
            self._begin(following, line.popleft())
            if line:
                self._lines[following] = line  # behind the other accounts


async def _either(place: asyncio.Future[None], gone: Gone) -> None:
    leaving: asyncio.Future[Any] = asyncio.ensure_future(gone())
    try:
        await asyncio.wait([place, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        await asyncio.wait([leaving])
