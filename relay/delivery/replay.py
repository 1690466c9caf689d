"""A listener comes back: history first, then live, without a seam.

Its live letters are held back while it reads its letterboxes; when nothing is left to read, the held ones that it has
not read go out, and it is live. When too many were held they are forgotten and it reads on: they are in the letterbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from relay.activity import Recorder
from relay.delivery.history import (
    After,
    OldestFirst,
    Since,
    Start,
)
from relay.delivery.letter import Gap, Letter, Listener
from relay.delivery.letterbox import Letterbox
from relay.delivery.replay_budget import ReplayBudget
from relay.message_id import MessageId
from relay.metrics import Metrics
from relay.store import keys

_READING_AT_ONCE = 4  # pages of a MiB; thousands of clients come back after a restart


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a listener stood: the last messages that it has, at most one of each inbox, and a time for the others."""

    messages: tuple[MessageId, ...]
    since_ms: int  # Unix time; of inboxes of which it names no message

    def start(self, inbox: str) -> Start:
        """Where it stood in one inbox."""
        tag = keys.inbox_tag(inbox)
        known = [message for message in self.messages if message.tag == tag]
        return After(known[0]) if known else Since(self.since_ms)


class Resuming(Listener, Protocol):
    """A listener that holds back what is live until :meth:`release`."""

    def hold(self) -> None:
        """Forgets what is held so far, and holds what comes from now on."""

    def send(self, item: Letter | Gap) -> None:
        """Sends at once, past what is held."""

    async def room(self) -> bool:
        """Waits until little is waiting to be sent; False when the socket has ended."""

    def release(self, last: Mapping[str, MessageId]) -> bool:
        """Live from now on, with what was held beyond ``last`` (by inbox, what it has); False: too much was held."""


class Replay:
    """Replays to all listeners of this process."""

    def __init__(
        self,
        letterbox: Letterbox,
        metrics: Metrics,
        activity: Recorder,
        *,
        limit: int,
        budget: ReplayBudget | None = None,
    ) -> None:
        """``limit``: messages to one listener; beyond them it is told of a gap. ``budget``: None = the usual one."""
        self._letterbox = letterbox
        self._metrics = metrics
        self._activity = activity
        self._limit = limit
        self._reading = asyncio.Semaphore(_READING_AT_ONCE)
        self._budget = budget or ReplayBudget()
        metrics.replay_bytes.set_function(lambda: self._budget.size_bytes)

    async def run(self, listener: Resuming, resume: Resume) -> None:
        """Returns when the listener is live, or has ended. It is admitted, and holds. Raises Unavailable."""
        async with self._budget.turn(listener) as here:
            if here:
                await self._run(listener, resume)

    async def _run(self, listener: Resuming, resume: Resume) -> None:
        left = self._limit
        starts: dict[str, Start] = {}
        while True:
            listener.hold()
            await self._add_inboxes(listener, resume, starts)
            left = await self._send(listener, starts, left)
            if left < 0:
                return
            if not left:
                await self._cut_short(listener, starts)
            # Until it has taken what it was given: that is counted, and shared, as long.
            if not await listener.room():
                return
            if listener.release(_last(starts)):
                return

    async def _add_inboxes(self, listener: Resuming, resume: Resume, starts: dict[str, Start]) -> None:
        """Those that it listens to and is not reading yet; a domain may have got more meanwhile."""
        wanted = list(listener.addresses)
        from_ms = min([resume.since_ms, *(message.ms for message in resume.messages)])
        for domain in listener.domains:
            wanted += await self._letterbox.domain_inboxes(domain, from_ms)
        first = not starts
        for inbox in wanted:
            if inbox not in starts:
                starts[inbox] = resume.start(inbox)
        if first:
            self._tell_of_unknown(listener, resume, starts)

    def _tell_of_unknown(self, listener: Resuming, resume: Resume, starts: Mapping[str, Start]) -> None:
        """An inbox of a domain is forgotten with its last letter; only its tag is left, in the client's ``_id``."""
        tags = {keys.inbox_tag(inbox) for inbox in starts}
        for message in resume.messages:
            if message.tag not in tags:
                self._tell(listener, Gap(None, message, None, "expired"))

    async def _send(self, listener: Resuming, starts: dict[str, Start], left: int) -> int:
        """How many more it may get; -1 when it has ended."""
        history = OldestFirst(self._letterbox, starts)
        allowed = left
        try:
            while True:
                if not await listener.room():
                    return -1
                self._budget.taken(listener)
                async with self._budget.reading(listener.account):
                    async with self._reading:
                        item = await history.next()
                    if item is None or not left:
                        return left if item is None else 0
                    if isinstance(item, Letter):
                        starts[item.inbox] = After(item.id)
                        if item.owner != listener.account:
                            continue  # it came when the inbox was somebody else's
                        item = await self._budget.hold(listener, item)
                        if item is None:
                            return -1
                        left -= 1
                        self._send_one(listener, item)
                        continue
                if item.inbox is not None and item.next is None and item.reached:
                    starts[item.inbox] = After(item.reached)
                self._tell(listener, item)
        finally:
            self._activity.replayed(listener.account, _names(listener), allowed - left)

    def _send_one(self, listener: Resuming, letter: Letter) -> None:
        self._metrics.replayed.inc()
        listener.send(letter)
        letter.forget_json()

    def _tell(self, listener: Resuming, gap: Gap) -> None:
        self._metrics.gaps.labels(gap.reason).inc()
        self._activity.gap(listener.account, gap.inbox, gap.reason, listens_to=_names(listener))
        listener.send(gap)

    async def _cut_short(self, listener: Resuming, starts: dict[str, Start]) -> None:
        """The rest is not replayed, but kept: who comes back with ``after`` gets it."""
        for inbox, top in (await self._letterbox.tops(starts)).items():
            start = starts[inbox]
            after = start.message if isinstance(start, After) else None
            if top is None or (top.last.ms < start.ms if isinstance(start, Since) else top.last == after):
                continue
            if after and after.stream == top.last.stream:
                deleted = await self._letterbox.deleted(inbox, after.epoch)
                if deleted.covers(after.seq + 1, top.last.seq):
                    continue
            starts[inbox] = After(top.last)
            self._tell(listener, Gap(inbox, after, None, "trimmed", reached=top.last))


def _names(listener: Resuming) -> list[str]:
    return [*listener.addresses, *listener.domains]


def _last(starts: Mapping[str, Start]) -> dict[str, MessageId]:
    return {inbox: start.message for inbox, start in starts.items() if isinstance(start, After)}
