"""What this process missed while it had no link to Redis, or a deaf one: read from the letterboxes, then live again.

While it catches up, doorbells are only noted: what they announce is in the letterbox, and reading it there keeps the
order. Rounds follow one another until none has come that was not read; the last look and the turn to live are one step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from relay.activity import Recorder
from relay.delivery.doorbells import Doorbell
from relay.delivery.history import (
    After,
    OldestFirst,
    Since,
    Start,
)
from relay.delivery.hub import Hub
from relay.delivery.letter import Gap
from relay.delivery.letterbox import Letterbox
from relay.delivery.positions import Positions, Verdict
from relay.message_id import MessageId
from relay.metrics import Metrics

log = structlog.get_logger()


class CatchUp:
    """Brings the hub's listeners from where they stand to the newest message."""

    def __init__(
        self,
        letterbox: Letterbox,
        hub: Hub,
        positions: Positions,
        metrics: Metrics,
        activity: Recorder,
        *,
        turn_bytes: int,
    ) -> None:
        self._letterbox = letterbox
        self._hub = hub
        self._positions = positions
        self._metrics = metrics
        self._activity = activity
        self._turn_bytes = turn_bytes
        self._noted: dict[str, tuple[MessageId, MessageId]] = {}  # by inbox: the first and the last doorbell

    def note(self, bell: Doorbell) -> None:
        """A doorbell that rang while :meth:`run` was not done."""
        first, _ = self._noted.get(bell.inbox, (bell.id, bell.id))
        self._noted[bell.inbox] = (first, bell.id)

    def forget(self) -> None:
        """Nothing is noted: a new link begins."""
        self._noted.clear()

    async def run(self) -> int:
        """Returns, in the moment in which nothing is missing, how many letters were. Raises Unavailable."""
        recovered = await self._deliver(await self._behind())
        while starts := self._still_behind():
            recovered += await self._deliver(starts)
        return recovered

    async def fill(self, inbox: str, *, before: MessageId) -> None:
        """The same for one inbox, of which ``before`` came although something before that is missing."""
        await self._deliver({inbox: self._start(inbox, before)})

    async def _behind(self) -> dict[str, Start]:
        """Where each inbox stands that has got more than that."""
        starts: dict[str, Start] = {}
        for domain, proven_ms in self._positions.domains():
            for inbox in await self._letterbox.domain_inboxes(domain, proven_ms):
                last = self._positions.last(inbox)
                starts[inbox] = After(last) if last else Since(proven_ms)
        tops = await self._letterbox.tops(self._positions.inboxes())
        for inbox, top in tops.items():
            last = self._positions.last(inbox)
            if last != (top.last if top else None):
                starts[inbox] = After(last) if last else Since(0)
        return starts

    def _still_behind(self) -> dict[str, Start]:
        noted, self._noted = self._noted, {}
        return {
            inbox: self._start(inbox, first)
            for inbox, (first, last) in noted.items()
            if self._hub.follows(inbox) and self._positions.classify(inbox, last) is not Verdict.REPEAT
        }

    def _start(self, inbox: str, first: MessageId) -> Start:
        """Behind what was delivered; of an inbox that is not known, from the message that made it known."""
        if not self._positions.knows(inbox):
            return Since(first.ms)
        last = self._positions.last(inbox)
        return After(last) if last else Since(0)

    async def _deliver(self, starts: Mapping[str, Start]) -> int:
        if not starts:
            return 0
        history = OldestFirst(self._letterbox, starts)
        recovered = delivered_bytes = 0
        while item := await history.next():
            if isinstance(item, Gap):
                self._tell(item)
                continue
            self._positions.advance(item.inbox, item.id)
            handed = self._hub.deliver(item)
            self._metrics.delivered.inc(handed.sockets)
            self._activity.delivered(item.owner, item.inbox, item.id, *handed)
            recovered += 1
            delivered_bytes += item.size_bytes
            if delivered_bytes > self._turn_bytes:
                delivered_bytes = 0
                await asyncio.sleep(0)  # a socket that cannot write meanwhile looks slow
        self._metrics.recovered.inc(recovered)
        return recovered

    def _tell(self, gap: Gap) -> None:
        assert gap.inbox is not None  # noqa: S101  # a node knows the names of what it follows
        if gap.next is None:
            self._positions.advance(gap.inbox, gap.reached)
        self._metrics.gaps.labels(gap.reason).inc()
        log.warning("inbox.gap", inbox=gap.inbox, after=str(gap.after), next=str(gap.next), reason=gap.reason)
        for account in self._hub.tell(gap):
            self._activity.gap(account, gap.inbox, gap.reason)
