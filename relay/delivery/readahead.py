"""What came over the link and has its turn still to come, in order. Letters that are only announced are read ahead.

Without it each letter would wait for a question of its own: a process that takes mail in at the same time would fall
behind its own posts, until letters are trimmed before they are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from relay.delivery.doorbells import Doorbell, LinkEvent
from relay.letters.layout import Sealed

_MAX_EVENTS = 64  # with the letters that doorbells carry: half a MiB. Then Redis keeps what comes
_MAX_ASKED_BYTES = 4 * 1024 * 1024  # of letters; one that is larger is asked for when its turn has come

Fetch = Callable[[Doorbell], Coroutine[Any, Any, Sealed | None]]
Asked = asyncio.Task[Sealed | None]


class ReadAhead:
    """A queue of one reader and one worker."""

    def __init__(self, fetch: Fetch, tasks: asyncio.TaskGroup) -> None:
        """``tasks`` owns the questions: one that fails ends the link."""
        self._fetch = fetch
        self._tasks = tasks
        self._events: asyncio.Queue[tuple[LinkEvent, Asked | None]] = asyncio.Queue(_MAX_EVENTS)
        self._unfinished = 0
        self._asked_bytes = 0

    @property
    def idle(self) -> bool:
        """Nothing waits, and nothing is being worked on."""
        return self._unfinished == 0

    async def put(self, event: LinkEvent, *, wanted: bool) -> None:
        """``wanted``: the letter of this doorbell will be delivered, as far as is known. Waits while it is full."""
        asked = self._ask(event) if wanted and isinstance(event, Doorbell) else None
        self._unfinished += 1
        await self._events.put((event, asked))

    def _ask(self, doorbell: Doorbell) -> Asked | None:
        stored_bytes = doorbell.announced_bytes
        if not stored_bytes or self._asked_bytes + stored_bytes > _MAX_ASKED_BYTES:
            return None
        self._asked_bytes += stored_bytes
        return self._tasks.create_task(self._fetch(doorbell), name="node.fetch")

    async def work(self, do: Callable[[LinkEvent, Asked | None], Awaitable[None]]) -> None:
        """Does one event after the other; never returns."""
        while True:
            event, asked = await self._events.get()
            await do(event, asked)
            if asked is not None and isinstance(event, Doorbell):
                self._asked_bytes -= event.announced_bytes
            self._unfinished -= 1
