"""The queue of fetches as version 0.1 has it, word for word but for imports and keys: it may run beside ours.

Nothing here is to be mended: it is the other side of tests/queues/test_version_0_1.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from relay.errors import TooLarge, Unavailable
from relay.store import Command, Store

# Fixed like those of parked.py. An entry is as large as its post, which holds no files. When the API of a sender is
# away for a day, or its key is wrong, so many wait; who posts more is told to come again.
MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 1024 * 1024

FETCHES = "relay:{fetches}"
FETCHES_BYTES = "relay:{fetches}:bytes"

_LEASE_SECONDS = 120.0  # longer than one answer may take (inbound/asking.py), and the publishing of a mail


@dataclass(frozen=True, slots=True)
class Lease:
    """One entry, ours for a while."""

    id: str
    token: str
    sender: str
    first: bytes  # what was added
    step: bytes  # what :meth:`Fetches.hold` or :meth:`Fetches.put_back` noted last; b"" = nothing
    tries: int  # this one counts
    overdue: bool  # its time is over: another try would be too many


class Fetches:
    """All that is still to be fetched."""

    def __init__(self, store: Store, *, lease_seconds: float = _LEASE_SECONDS) -> None:
        self._store = store
        self._lease_ms = round(lease_seconds * 1000)
        self.changed = asyncio.Event()  # by this process: something may be due sooner; who takes clears it
        self.waiting = 0  # entries, as of the last :meth:`take`

    async def add(self, sender: str, event: str, first: bytes, *, keep_seconds: int) -> tuple[str, bool]:
        """Keeps one, once for each event of a sender; its id, and whether it is new.

        After ``keep_seconds`` it is overdue. Raises TooLarge: it is more than all may be. Raises Unavailable also
        when the queue is full.
        """
        if len(first) > MAX_BYTES:
            raise TooLarge("the post only announces a mail, and is too large to be kept until that is fetched")
        fetch_id = hashlib.sha256(f"{sender}\n{event}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
        arguments = (MAX_ENTRIES, MAX_BYTES, fetch_id, sender, keep_seconds * 1000, first)
        outcome = await self._ask(("EVAL", _ADD, 3, *_keys(fetch_id), *arguments))
        if outcome == _FULL:
            raise Unavailable("too many mails are still to be fetched; try again")
        self.changed.set()
        return fetch_id, outcome == _NEW

    async def take(self) -> Lease | float:
        """One that is due, or in how many seconds one will be (``inf`` = there is none)."""
        token = secrets.token_hex(8)
        self.waiting, wait_ms, *found = await self._ask(
            ("EVAL", _TAKE, 1, FETCHES, token, self._lease_ms), durable=False
        )
        if not found:
            return wait_ms / 1000 if wait_ms >= 0 else float("inf")
        fetch_id, sender, first, step, tries, overdue = found
        return Lease(fetch_id.decode(), token, sender.decode(), first, step, tries, overdue == 1)

    async def hold(self, lease: Lease, step: bytes | None = None) -> bool:
        """Begins the lease's time anew, and notes what comes next; None = as before. False: it is ours no more."""
        return await self._note(lease, self._lease_ms, step, keep=True)

    async def put_back(self, lease: Lease, *, seconds: float, step: bytes | None = None) -> bool:
        """Lets it be taken again after so long. False: it was ours no more."""
        ours = await self._note(lease, round(seconds * 1000), step, keep=False)
        self.changed.set()
        return ours

    async def _note(self, lease: Lease, due_ms: int, step: bytes | None, *, keep: bool) -> bool:
        noted = () if step is None else (step,)
        arguments = (lease.id, lease.token, due_ms, lease.token if keep else "", *noted)
        return bool(await self._ask(("EVAL", _NOTE, 3, *_keys(lease.id), *arguments)))

    async def finish(self, lease: Lease) -> bool:
        """Forgets it. False: it was ours no more."""
        return bool(await self._ask(("EVAL", _FINISH, 3, *_keys(lease.id), lease.id, lease.token)))

    async def _ask(self, command: Command, *, durable: bool = True) -> Any:
        [reply] = await self._store.ask(command, durable=durable)
        if isinstance(reply, Exception):
            raise Unavailable(f"Redis refused ({str(reply).partition(' ')[0]}); try again") from reply
        return reply


def _keys(fetch_id: str) -> tuple[str, str, str]:
    return FETCHES, FETCHES_BYTES, f"{FETCHES}:{fetch_id}"


_FULL, _KNOWN, _NEW = range(3)  # outcomes of _ADD

_NOW = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
"""
_COUNT = """
local function count(more)
  local bytes = tonumber(redis.call('GET', KEYS[2]) or '0') + more
  redis.call('SET', KEYS[2], string.format('%.0f', math.max(bytes, 0)))
end
"""

# KEYS  1 queue, 2 bytes of all entries, 3 entry
# ARGV  1 entries kept, 2 bytes kept, 3 id, 4 sender, 5 ms until it is overdue, 6 what is to be fetched
_ADD = f"""{_NOW}{_COUNT}
if redis.call('EXISTS', KEYS[3]) == 1 then return {_KNOWN} end
local bytes = tonumber(redis.call('GET', KEYS[2]) or '0') + #ARGV[6]
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) or bytes > tonumber(ARGV[2]) then return {_FULL} end
redis.call('HSET', KEYS[3], 'sender', ARGV[4], 'first', ARGV[6], 'step', '', 'tries', 0, 'lease', '',
           'until', string.format('%.0f', now + tonumber(ARGV[5])))
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[3])
count(#ARGV[6])
return {_NEW}
"""

# KEYS  1 queue
# ARGV  1 token of the lease, 2 its ms
# Returns {entries, ms until one is due (-1 = none)}, or {entries, 0, id, sender, first, step, tries, whether overdue}.
_TAKE = f"""{_NOW}
while true do
  local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  if not head[1] then return {{0, -1}} end
  local waiting, wait = redis.call('ZCARD', KEYS[1]), tonumber(head[2]) - now
  if wait > 0 then return {{waiting, wait}} end
  local entry = KEYS[1] .. ':' .. head[1]
  local sender, first, step, tries, last = unpack(
    redis.call('HMGET', entry, 'sender', 'first', 'step', 'tries', 'until'))
  if first then
    tries = tonumber(tries) + 1
    redis.call('HSET', entry, 'lease', ARGV[1], 'tries', tries)
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), head[1])
    return {{waiting, 0, head[1], sender, first, step, tries, now >= tonumber(last) and 1 or 0}}
  end
  redis.call('ZREM', KEYS[1], head[1])
end
"""

# KEYS  as of _ADD
# ARGV  1 id, 2 token of the lease, 3 ms until it is due, 4 token from now on ('' = nobody's), 5 step, if there is
#       another
# Returns whether the lease was good.
_NOTE = f"""{_NOW}{_COUNT}
local lease, step = unpack(redis.call('HMGET', KEYS[3], 'lease', 'step'))
if lease ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[3], 'lease', ARGV[4])
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
if ARGV[5] then
  redis.call('HSET', KEYS[3], 'step', ARGV[5])
  count(#ARGV[5] - #step)
end
return 1
"""

# KEYS  as of _ADD
# ARGV  1 id, 2 token of the lease
# Returns whether the lease was good.
_FINISH = f"""{_COUNT}
local lease, first, step = unpack(redis.call('HMGET', KEYS[3], 'lease', 'first', 'step'))
if lease ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[1], ARGV[1])
count(-#first - #step)
return 1
"""
