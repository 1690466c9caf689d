"""Guards switched off, for the twins: what a bad day does to a relay that lacks one of them.

This is the one place where our own code is patched: a scenario that passes without the guard shows nothing.
"""

from __future__ import annotations

import pytest
from redis.asyncio import Connection

from relay.delivery.catchup import CatchUp
from relay.delivery.history import _Shelf
from relay.delivery.positions import Positions, Verdict
from relay.delivery.replay import Replay, Resume, Resuming
from relay.message_id import MessageId
from relay.store import lineage


def no_replay(patch: pytest.MonkeyPatch) -> None:
    """Who comes back with a cursor gets what is live, and nothing else."""

    async def run(_replay: Replay, listener: Resuming, _resume: Resume) -> None:
        listener.release({})

    patch.setattr(Replay, "run", run)


def no_catch_up(patch: pytest.MonkeyPatch, *, missed: int) -> None:
    """A new link begins with what is live, whatever came before it; and not before so many have come."""

    async def run(self: CatchUp) -> int:
        while self._positions.inboxes() and await _behind(self) < missed:
            pass
        self.forget()
        return 0

    patch.setattr(CatchUp, "run", run)


async def _behind(catch_up: CatchUp) -> int:
    inboxes = catch_up._positions.inboxes()
    tops = await catch_up._letterbox.tops(inboxes)
    behind = 0
    for inbox, top in tops.items():
        last = catch_up._positions.last(inbox)
        behind += (top.last.seq if top else 0) - (last.seq if last else 0)
    return behind


def no_holes(patch: pytest.MonkeyPatch) -> None:
    """A doorbell is delivered although something before it is missing."""
    judge = Positions.judge

    def blind(self: Positions, inbox: str, message: MessageId) -> Verdict:
        verdict = judge(self, inbox, message)
        return Verdict.NEXT if verdict is Verdict.HOLE else verdict

    patch.setattr(Positions, "judge", blind)


def no_repeats(patch: pytest.MonkeyPatch) -> None:
    """A doorbell is delivered although its message was."""
    judge = Positions.judge

    def forgetful(self: Positions, inbox: str, message: MessageId) -> Verdict:
        verdict = judge(self, inbox, message)
        return Verdict.NEXT if verdict is Verdict.REPEAT else verdict

    patch.setattr(Positions, "judge", forgetful)


def no_mark(patch: pytest.MonkeyPatch) -> None:
    """Nobody notes that a Redis was promoted."""

    async def note(_connection: Connection) -> None: ...

    patch.setattr(lineage, "note", note)


def no_gaps(patch: pytest.MonkeyPatch) -> None:
    """A history is read as if nothing could be missing from it."""
    no_holes(patch)
    patch.setattr(_Shelf, "gap", lambda _shelf: None)
