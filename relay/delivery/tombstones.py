"""Which messages of an inbox its owner deleted, so that history does not take them for lost ones.

Ranges of ``seq`` within one epoch, neighbours merged: who deletes every mail after reading it leaves one range behind.
lua/bury.lua notes them: scripts that delete letters include it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Tombstones:
    """The ranges of one inbox and epoch."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, members: Iterable[bytes] = ()) -> None:
        """From the sorted set, in its order."""
        ranges = [tuple(map(int, member.split(b"-"))) for member in members]
        self._firsts = [one[0] for one in ranges]
        self._lasts = [one[1] for one in ranges]

    def covers(self, first: int, last: int) -> bool:
        """Whether each message from ``first`` to ``last``, by ``seq``, was deleted."""
        at = bisect_right(self._firsts, first) - 1
        return at >= 0 and self._lasts[at] >= last
