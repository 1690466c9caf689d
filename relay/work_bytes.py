"""The one number for mail in memory: the bytes of all bodies that are here, and what is being made of them.

Bodies that come are refused beyond their part (``bodies_limit_bytes``). A body that is whole waits for room to be
worked on, and what the largest mail takes in work is never given to bodies: so there is always one that goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque

from relay.errors import Unavailable

# What a mail costs in work beside its own body, in times of its size: the same bytes as text, its texts, the message
# JSON of both and what is kept of it. Measured: 4 for a base64 attachment, 6.3 for text, 7 for text that is Latin-1.
WORK_FACTOR = 7
# A body up to this size is worked on as soon as it fits; larger ones stand in line, so that none of them starves.
_IN_LINE_BYTES = 1024 * 1024
# An accepted body is worth a wait, but providers hang up after some 30 s.
_WAIT_SECONDS = 20.0


class WorkBytes:
    """Of one process; whoever holds or makes bytes of mail counts them here."""

    def __init__(self, limit_bytes: int, *, largest_bytes: int) -> None:
        """``limit_bytes``: of all together. ``largest_bytes``: of one mail; the limit must be 1 + WORK_FACTOR of it."""
        self.limit_bytes = limit_bytes
        self._largest_work_bytes = WORK_FACTOR * largest_bytes
        self.bodies_limit_bytes = limit_bytes - self._largest_work_bytes
        self.bodies_bytes = 0  # of bodies that come, or have come and are not answered
        self.working_bytes = 0  # of what is being made of them
        self._line: deque[tuple[asyncio.Future[None], int]] = deque()

    @property
    def held_bytes(self) -> int:
        """Of bodies and work."""
        return self.bodies_bytes + self.working_bytes

    def reserve(self, size_bytes: int) -> None:
        """Counts bytes of a body. Raises Unavailable, and counts nothing: there is no room for them."""
        bodies_bytes = self.bodies_bytes + size_bytes
        if bodies_bytes > self.bodies_limit_bytes or bodies_bytes + self.working_bytes > self.limit_bytes:
            raise _too_much()
        self.bodies_bytes = bodies_bytes

    def admit(self, size_bytes: int) -> None:
        """Counts bytes of a body that is taken whatever else is here."""
        self.bodies_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Bytes of a body are gone."""
        self.bodies_bytes -= size_bytes
        self._let_in()

    async def enter(self, body_bytes: int) -> int:
        """Waits for room to work on a body of this size. Returns the bytes to :meth:`leave` with.

        Raises Unavailable: there was none for 20 s.
        """
        wanted = min(WORK_FACTOR * body_bytes, self._largest_work_bytes)
        if self._fits(wanted) and (not self._line or body_bytes <= _IN_LINE_BYTES):
            self.working_bytes += wanted
            return wanted
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append((place, wanted))
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await place
        except TimeoutError:
            self._give_up(place, wanted)
            raise _too_much() from None
        except asyncio.CancelledError:
            self._give_up(place, wanted)
            raise
        return wanted

    def leave(self, entered_bytes: int) -> None:
        """The work is done. ``entered_bytes``: as :meth:`enter` returned."""
        self.working_bytes -= entered_bytes
        self._let_in()

    def _fits(self, wanted: int) -> bool:
        """Room, or nobody else at work: bodies alone leave enough for the largest mail."""
        return self.held_bytes + wanted <= self.limit_bytes or not self.working_bytes

    def _let_in(self) -> None:
        while self._line and self._fits(self._line[0][1]):
            place, wanted = self._line.popleft()
            if not place.done():
                self.working_bytes += wanted
                place.set_result(None)

    def _give_up(self, place: asyncio.Future[None], wanted: int) -> None:
        if place.done() and not place.cancelled():  # let in at the very moment
            self.leave(wanted)
        elif (place, wanted) in self._line:
            self._line.remove((place, wanted))
            self._let_in()


def problems(limit_bytes: int, *, largest_bytes: int) -> list[str]:
    """What is wrong with a limit for mail of up to ``largest_bytes``, in the words of the settings; [] = nothing."""
    least_bytes = (1 + WORK_FACTOR) * largest_bytes
    if limit_bytes >= least_bytes:
        return []
    times = f"{1 + WORK_FACTOR} times RELAY_MAX_MESSAGE_BYTES"
    return [f"RELAY_WORK_BYTES: must be {least_bytes} or more, {times}: the largest mail takes so much"]


def _too_much() -> Unavailable:
    return Unavailable("too much mail is coming in at once; try again")
