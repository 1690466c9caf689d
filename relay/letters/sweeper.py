"""Rows whose letters are too old go, also where nothing new comes: so counts are right, and Redis holds none in vain.

Letters have an end of their own in Redis. Every process sweeps now and then; a step twice is as good as once.
"""

from __future__ import annotations

import asyncio
import random

import structlog

from relay import clock
from relay.errors import Unavailable
from relay.letters.retention import Retention
from relay.store import Command, Script, Store, keys

log = structlog.get_logger()

_EXPIRE = Script.load("letters/lua/expire.lua")
_EVERY_SECONDS = 30.0
_AT_ONCE = 50  # inboxes: some ms of Redis' time
_MOST_NOTED = 10_000
_ROUNDS = 200  # of one sweep; the rest is for the next


class Sweeper:
    """One for a process."""

    def __init__(self, store: Store, retention: Retention) -> None:
        """``store`` has a queue of its own."""
        self._store = store
        self._retention, self._keep_ms = retention, retention.seconds * 1000
        self._noted: set[str] = set()

    def note(self, inbox: str) -> None:
        """On a cluster: an inbox has got a letter. Elsewhere publish.lua writes down when it will be too old.

        Written with the next sweep. A process that is killed before forgets it; the next letter notes it again.
        """
        if len(self._noted) < _MOST_NOTED:
            self._noted.add(inbox)

    async def run(self) -> None:
        """Never returns. Ends only when cancelled."""
        while True:
            # Jitter: processes that started together need not do the same together.
            await asyncio.sleep(_EVERY_SECONDS * random.SystemRandom().uniform(0.5, 1.5))
            try:
                await self.sweep()
            except Unavailable as error:
                log.info("letters.not_swept", error=str(error))  # the next time will do

    async def sweep(self) -> None:
        """Returns when no row is too old, or after :data:`_ROUNDS`. Raises Unavailable."""
        await self._write_down()
        for _ in range(_ROUNDS):
            [(seconds, microseconds)] = await self._store.ask(("TIME",))
            now_ms = int(seconds) * 1000 + int(microseconds) // 1000
            [due] = await self._store.ask(("ZRANGEBYSCORE", keys.DUE, "-inf", f"({now_ms}", "LIMIT", 0, _AT_ONCE))
            if not due:
                return
            inboxes = [inbox.decode() for inbox in due]
            again_ms = [int(at) for at in await self._store.ask(*map(self._expire, inboxes))]
            if self._store.clustered:
                # Later, also where nothing is left: a letter that comes just now must not lose its turn.
                later = [at or now_ms + self._keep_ms for at in again_ms]
                await self._store.ask(
                    *(("ZADD", keys.DUE, at, inbox) for at, inbox in zip(later, inboxes, strict=True))
                )

    async def _write_down(self) -> None:
        noted, self._noted = list(self._noted), set()
        at_ms = clock.now_ms() + self._keep_ms
        for start in range(0, len(noted), _AT_ONCE):
            some = noted[start : start + _AT_ONCE]
            await self._store.ask(*(("ZADD", keys.DUE, "NX", at_ms, inbox) for inbox in some))

    def _expire(self, inbox: str) -> Command:
        due = () if self._store.clustered else (keys.DUE,)
        names = (keys.index(inbox), keys.letter(inbox, ""), keys.meta(inbox), *due)
        counts = "" if self._store.clustered else keys.ACCOUNT_KEPT
        return _EXPIRE.call(
            names, (inbox, self._retention.messages, self._retention.size_bytes, self._keep_ms, counts)
        )
