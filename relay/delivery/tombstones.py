"""Which messages of an inbox its owner deleted, so that history does not take them for lost ones.

Ranges of ``seq`` within one epoch, neighbours merged: who deletes every mail after reading it leaves one range behind.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

# Lua, for scripts that delete letters: ``bury(name, seq, ms, limit)`` notes one. ``name`` is of keys.deleted, a sorted
# set of ``<first>-<last>-<ms of the first>`` by the first. Beyond ``limit`` ranges the oldest go. As many as there are
# letters, and two, tell all: before a letter that is lost, there is a gap anyhow.
BURY = """
local function bury(name, seq, ms, limit)
  local first, last, first_ms = seq, seq, ms
  local below = redis.call('ZREVRANGEBYSCORE', name, seq, '-inf', 'LIMIT', 0, 1)[1]
  if below then
    local from, to, from_ms = string.match(below, '^(%d+)%-(%d+)%-(%d+)$')
    if tonumber(to) >= seq then return end
    if tonumber(to) == seq - 1 then
      redis.call('ZREM', name, below)
      first, first_ms = tonumber(from), tonumber(from_ms)
    end
  end
  local above = redis.call('ZRANGEBYSCORE', name, seq + 1, seq + 1)[1]
  if above then
    redis.call('ZREM', name, above)
    last = tonumber(string.match(above, '^%d+%-(%d+)'))
  end
  redis.call('ZADD', name, first, string.format('%.0f-%.0f-%.0f', first, last, first_ms))
  redis.call('ZREMRANGEBYRANK', name, 0, -(limit + 1))
end
"""


class Deleted:
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
