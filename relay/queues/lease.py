"""A queue in Redis that all processes share, and of which each entry is one process's at a time.

Who takes an entry has it for a while (a lease), and proves that with a random token. When that process is killed the
lease runs out, and another process takes the entry. An entry leaves the queue only by ``finish``, so its work is done
at least once. Two work on it at once only when a lease ran out: the late one learns that from ``hold``, which who works
for long calls before each step that others would see.

The clock is that of Redis, so processes whose clocks differ agree. Every call is one atomic script, whose time does not
depend on how many entries wait. Every call raises Unavailable when Redis is away.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from relay.errors import TooLarge, Unavailable
from relay.store import Script, Store

_ADD, _TAKE, _NOTE, _FINISH = (
    Script.load(f"queues/lua/lease_{name}.lua") for name in ("add", "take", "note", "finish")
)
_FULL, _KNOWN, _NEW = range(3)  # outcomes of _ADD
_OWN_FIELDS = frozenset({"tries", "until", "lease"})
_BYTES = "bytes"  # no id: the key of that name is the counter
_NOTHING: Mapping[str, bytes] = MappingProxyType({})


class QueueFull(Unavailable):
    """As many entries, or bytes, wait as may."""


@dataclass(frozen=True, slots=True)
class LeasedEntry:
    """One entry, ours until its lease runs out and another process takes it."""

    id: str
    token: str
    fields: Mapping[str, bytes]  # labels and contents of the queue; b"" = nothing
    tries: int  # times that it was taken; this one counts
    overdue: bool  # the time for which it was to be kept is over: who takes it decides


class LeaseQueue:
    """Entries that are due now or later, in the order in which they are due.

    In Redis ``key`` is a sorted set of ids (score: when it is due, Unix ms), ``key:bytes`` counts bytes, and
    ``key:<id>`` is the hash of an entry: ``tries``, ``until`` (Unix ms), ``lease`` (a token, or nothing), and the
    fields that its user names. On a cluster the key needs a hash tag.
    """

    def __init__(
        self, store: Store, key: str, *, labels: Sequence[str], contents: Sequence[str], lease_seconds: float
    ) -> None:
        """``labels`` and ``contents`` name the fields of an entry. A label is short and never changes; contents count
        for the bytes of the queue, and can be noted anew."""
        if taken := _OWN_FIELDS.intersection((*labels, *contents)):
            raise ValueError(f"fields of the queue itself: {', '.join(sorted(taken))}")
        self._store = store
        self._key = key
        self._queue_keys = key, f"{key}:{_BYTES}"
        self._labels = tuple(labels)
        self._contents = tuple(contents)
        self._lease_ms = _ms(lease_seconds)
        self.changed = asyncio.Event()  # by this process: something may be due sooner; who takes clears it
        self.waiting = 0  # entries, leased ones among them, as of the last :meth:`take`

    async def add(
        self,
        entry_id: str,
        fields: Mapping[str, bytes],
        *,
        keep_seconds: float,
        max_entries: int,
        max_bytes: int,
    ) -> bool:
        """Adds an entry that is due now and overdue after ``keep_seconds``. False: one of this id is there already.

        ``max_entries``, ``max_bytes``: what may wait in the queue, this one included. Raises TooLarge: it alone is
        more than that. Raises QueueFull.
        """
        if fields.keys() != {*self._labels, *self._contents}:
            raise ValueError(f"an entry here has the fields {', '.join((*self._labels, *self._contents))}")
        if entry_id == _BYTES:
            raise ValueError(f"no entry may have the id {_BYTES}")
        size_bytes = sum(len(fields[name]) for name in self._contents)
        if size_bytes > max_bytes:
            raise TooLarge("larger than all entries of the queue may be")
        bounds = (max_entries, max_bytes, entry_id, _ms(keep_seconds), size_bytes)
        outcome = await self._store.run(
            _ADD, keys=self._keys(entry_id), args=(*bounds, *_flat(fields)), durable=True
        )
        if outcome == _FULL:
            raise QueueFull("as many entries wait as may; try again")
        self.changed.set()
        return bool(outcome == _NEW)

    async def take(self) -> LeasedEntry | float:
        """The entry that has been due for longest, or in how many seconds one will be due (``inf`` = none waits)."""
        token = secrets.token_hex(8)
        names = (*self._labels, *self._contents)
        self.waiting, wait_ms, *found = await self._store.run(
            _TAKE, keys=self._queue_keys, args=(token, self._lease_ms, *names)
        )
        if not found:
            return wait_ms / 1000 if wait_ms >= 0 else math.inf
        entry_id, tries, overdue, *values = found
        fields = {name: value or b"" for name, value in zip(names, values, strict=True)}
        return LeasedEntry(entry_id.decode(), token, fields, tries, overdue == 1)

    async def hold(self, entry: LeasedEntry, contents: Mapping[str, bytes] = _NOTHING) -> bool:
        """Begins the lease's time anew, and notes contents; those not named stay. False: it is ours no more."""
        return await self._note(entry, self._lease_ms, entry.token, contents)

    async def put_back(
        self, entry: LeasedEntry, *, seconds: float, contents: Mapping[str, bytes] = _NOTHING
    ) -> bool:
        """Lets it be taken again after so long, and notes contents. False: it was ours no more, nothing changed."""
        ours = await self._note(entry, _ms(seconds), "", contents)
        self.changed.set()
        return ours

    async def finish(self, entry: LeasedEntry) -> bool:
        """Forgets it. False: it was ours no more, nothing changed."""
        args = (entry.id, entry.token, *self._contents)
        return bool(await self._store.run(_FINISH, keys=self._keys(entry.id), args=args, durable=True))

    async def _note(self, entry: LeasedEntry, due_ms: int, token: str, contents: Mapping[str, bytes]) -> bool:
        if strange := contents.keys() - set(self._contents):
            raise ValueError(f"no contents of an entry here: {', '.join(sorted(strange))}")
        args = (entry.id, entry.token, due_ms, token, *_flat(contents))
        return bool(await self._store.run(_NOTE, keys=self._keys(entry.id), args=args, durable=True))

    def _keys(self, entry_id: str) -> tuple[str, str, str]:
        return *self._queue_keys, f"{self._key}:{entry_id}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _flat(fields: Mapping[str, bytes]) -> list[str | bytes]:
    """Name, value, name, value, … with the largest value last: the store looks there for what is large."""
    by_size = sorted(fields.items(), key=lambda pair: len(pair[1]))
    return [part for pair in by_size for part in pair]
