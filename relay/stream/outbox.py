"""What one socket is to get, and when: a machine without I/O, of which wire.py and portable.py are the shells.

A shell asks at each letter (:meth:`Outbox.offer`), and asks for the next one when its line takes more
(:meth:`Outbox.next`). The machine knows neither bytes of frames nor transports: sizes are what the shell says.

=========  =============================================  ==================================
phase      a letter that comes                            leads to
=========  =============================================  ==================================
ENTERING   is held: there is no line yet                  REPLAYING, when it is opened
REPLAYING  is held: the line is for what was missed       OPEN, FULL, RESUMED, when released
OPEN       may be written at once                         FULL
FULL       waits behind others, within the limit          OPEN, RESUMED, when all has gone
RESUMED    is written, unless the replay has sent it      OPEN, when that is past; FULL
ENDED      is dropped                                     nothing; all others lead here
=========  =============================================  ==================================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum, IntEnum

from relay.delivery.letter import Gap, Letter
from relay.message_id import MessageId
from relay.stream.pending import AlreadySent, PendingQueue


class Phase(IntEnum):
    """What a socket is doing; anything but OPEN takes the long way through the machine."""

    OPEN = 0
    FULL = 1
    RESUMED = 2
    REPLAYING = 3
    ENTERING = 4
    ENDED = 5


class Verdict(Enum):
    """What a shell does with a letter that it has offered."""

    WRITE = "write"  # something waits, and the line is free: ask for the next
    KEEP = "keep"  # nothing: the machine has it, or nobody needs it
    TOO_SLOW = "too slow"  # end the socket


class Outbox:
    """Of one socket. Sizes are bytes, as the shell counts them."""

    __slots__ = (
        "_already_sent",
        "_held",
        "_large_bytes",
        "_limit_bytes",
        "_queue",
        "_small_bytes",
        "_under_way_bytes",
        "paused",
        "phase",
    )

    def __init__(self, *, limit_bytes: int) -> None:
        """``limit_bytes`` may wait; and one letter beside them that alone is larger: no socket is slow for that."""
        self.phase = Phase.ENTERING
        self.paused = False  # the line takes nothing now
        self._limit_bytes = limit_bytes
        self._held: PendingQueue | None = PendingQueue(limit_bytes=limit_bytes)
        self._already_sent: AlreadySent | None = None  # of a socket that resumed, until it has passed them all
        self._queue: deque[tuple[Letter | Gap, int]] | None = None  # None = empty; an empty one takes 760 bytes
        self._small_bytes = 0  # waiting or under way, of letters within the limit
        self._large_bytes = 0  # and of the ones beyond it
        self._under_way_bytes = 0  # of the one that the shell has got last

    @property
    def waiting_bytes(self) -> int:
        """Of all that has not gone, what is held included."""
        held = self._held.size_bytes if self._held is not None else 0
        return held + self._small_bytes + self._large_bytes

    @property
    def has_room(self) -> bool:
        """Whether little waits: a replay goes on. The rest of the limit is for what is live when it ends."""
        return self._small_bytes + self._large_bytes <= self._limit_bytes // 4

    # What comes

    def offer(self, item: Letter | Gap, size_bytes: int) -> Verdict:
        """A live letter, or word of a gap."""
        if self.phase is Phase.ENDED:
            return Verdict.KEEP
        if self._held is not None:
            self._held.put(item)
            return Verdict.KEEP
        if self._already_sent is not None and not self._is_new(self._already_sent, item):
            return Verdict.KEEP
        if size_bytes > self._limit_bytes:
            full = self._large_bytes > 0
        else:
            full = self._small_bytes + size_bytes > self._limit_bytes
        return Verdict.TOO_SLOW if full else self.put(item, size_bytes)

    def _is_new(self, already_sent: AlreadySent, item: Letter | Gap) -> bool:
        new = already_sent.is_new(item)
        if not already_sent:
            self._already_sent = None
            self._settle()
        return new

    def put(self, item: Letter | Gap, size_bytes: int) -> Verdict:
        """One that a replay has read: it goes past what is held, and beyond the limit."""
        if self.phase is Phase.ENDED:
            return Verdict.KEEP
        if self._queue is None:
            self._queue = deque()
        self._queue.append((item, size_bytes))
        self._count(size_bytes, 1)
        self._settle()
        return Verdict.KEEP if self.paused or self._under_way_bytes else Verdict.WRITE

    def _count(self, size_bytes: int, sign: int) -> None:
        if size_bytes > self._limit_bytes:
            self._large_bytes += sign * size_bytes
        else:
            self._small_bytes += sign * size_bytes

    # What goes

    def next(self) -> Letter | Gap | None:
        """What the line gets now. The one before it has gone: until then it counts as waiting."""
        self._count(self._under_way_bytes, -1)
        self._under_way_bytes = 0
        item = None
        if self._queue:
            item, self._under_way_bytes = self._queue.popleft()
        else:
            self._queue = None
        self._settle()
        return item

    def pause(self) -> None:
        """The line takes nothing for now."""
        self.paused = True
        self._settle()

    def resume(self) -> None:
        """The line takes more: ask for the next."""
        self.paused = False
        self._settle()

    def _settle(self) -> None:
        if self.phase in (Phase.ENDED, Phase.ENTERING):
            return
        if self._held is not None:
            self.phase = Phase.REPLAYING
        elif self.paused or self._queue or self._under_way_bytes:
            self.phase = Phase.FULL
        else:
            self.phase = Phase.OPEN if self._already_sent is None else Phase.RESUMED

    # From one phase to another

    def open(self) -> None:
        """There is a line. What is held stays so until :meth:`release`."""
        if self.phase is Phase.ENTERING:
            self.phase = Phase.REPLAYING

    def hold(self) -> None:
        """Forgets what is held so far."""
        if self._held is not None:
            self._held.clear()

    def release(self, last: Mapping[str, MessageId]) -> list[Letter | Gap] | None:
        """Live from now on, see :class:`relay.delivery.replay.Resuming`. What was held is to be offered.

        None: too much was held, and nothing changes.
        """
        held = self._held
        if held is None or self.phase is Phase.ENDED:
            return []
        if held.overflowed:
            return None
        self._held = None
        self._already_sent = AlreadySent(last) if last else None
        self._settle()
        return held.take()

    def end(self) -> None:
        """Nothing goes any more, and what waited is forgotten: its right or its reader is gone."""
        self.phase = Phase.ENDED
        self._held = self._already_sent = self._queue = None
        self._small_bytes = self._large_bytes = self._under_way_bytes = 0
