"""FairQueue: how many at once, whose comes next, and who leaves the line."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence

import pytest

from relay.errors import BadRequest, TooManyRequests
from relay.fair import FairQueue

pytestmark = pytest.mark.anyio


class Hall:
    """Who had a turn, in order. A turn lasts until all who came are in, or wait."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.order: list[str] = []
        self.most = Counter[str]()
        self._inside = Counter[str]()
        self.open = asyncio.Event()

    async def visit(self, account: str) -> None:
        async with self.queue.slot(account, asyncio.Event().wait):
            self.order.append(account)
            self._inside[account] += 1
            self.most = self.most | self._inside | Counter(all=self._inside.total())
            await self.open.wait()
            self._inside[account] -= 1

    async def all_of(self, accounts: Sequence[str]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for account in accounts:
                tasks.create_task(self.visit(account))
            tasks.create_task(self._open())

    async def _open(self) -> None:
        self.open.set()


async def test_accounts_take_turns_whoever_came_first() -> None:
    hall = Hall(FairQueue(at_once=1, per_account=1))
    await hall.all_of([*"aaaa", *"bb", "c"])
    assert "".join(hall.order) == "aabcaba"


async def test_no_more_at_once_than_may_be() -> None:
    hall = Hall(FairQueue(at_once=3, per_account=2))
    await hall.all_of([*"aaaa", *"bbb", *"cc"])
    assert hall.most["all"] == 3
    assert max(hall.most[account] for account in "abc") == 2
    assert Counter(hall.order) == {"a": 4, "b": 3, "c": 2}
    assert "".join(hall.order[:3]) == "aab"  # one place is nobody's alone


async def test_one_account_alone_does_not_fill_all_places() -> None:
    hall = Hall(FairQueue(at_once=3, per_account=2))
    await hall.all_of("aaaa")
    assert hall.most == {"a": 2, "all": 2}


async def test_a_line_has_an_end() -> None:
    hall = Hall(FairQueue(at_once=2, per_account=1, waiting_per_account=2))
    async with asyncio.TaskGroup() as tasks:
        for account in "aaa":
            tasks.create_task(hall.visit(account))
        # In a task as well, so that it comes after them.
        [refused] = await asyncio.gather(hall.visit("a"), return_exceptions=True)
        assert isinstance(refused, TooManyRequests)
        assert "2 requests of this account wait" in str(refused)
        assert refused.headers == {"retry-after": "5"}
        tasks.create_task(hall.visit("b"))
        hall.open.set()
    assert Counter(hall.order) == {"a": 3, "b": 1}


async def test_who_has_gone_leaves_the_line() -> None:
    hall = Hall(FairQueue(at_once=1, per_account=1, waiting_per_account=1))
    hung_up = asyncio.Event()

    async def leave() -> None:
        async with hall.queue.slot("a", hung_up.wait):
            raise AssertionError("nobody is there to be answered")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hall.visit("a"))
        leaving = tasks.create_task(_refused(leave()))
        tasks.create_task(_set(hung_up))
        await leaving
        tasks.create_task(hall.visit("a"))  # in its place
        tasks.create_task(_set(hall.open))
    assert hall.order == ["a", "a"]


async def test_who_is_cancelled_gives_back_what_it_has() -> None:
    hall = Hall(FairQueue(at_once=1, per_account=1, waiting_per_account=1))
    async with asyncio.TaskGroup() as tasks:
        first, second = (tasks.create_task(hall.visit("a")) for _ in range(2))
        tasks.create_task(_cancel(second, first))
    hall.open.set()
    await hall.visit("a")
    assert hall.order == ["a", "a"]


async def _refused(leaving: Awaitable[None]) -> None:
    with pytest.raises(BadRequest):
        await leaving


async def _set(event: asyncio.Event) -> None:
    event.set()


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
