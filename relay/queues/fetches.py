"""Mails that a post only announced, until they are fetched: a queue of leases, see lease.py.

An entry is gone when its mail is delivered, or parked. Every call raises Unavailable when Redis is away.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from relay.errors import TooLarge, Unavailable
from relay.queues.lease import LeasedEntry, LeaseQueue, QueueFull
from relay.store import Store, keys

# Fixed like those of parked.py. An entry is as large as its post, which holds no files. When the API of a provider is
# away for a day, or its key is wrong, so many wait; who posts more is told to come again.
MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 1024 * 1024

_LEASE_SECONDS = (
    120.0  # longer than one answer may take (inbound/fetching/request.py), and the publishing of a mail
)


@dataclass(frozen=True, slots=True)
class Lease(LeasedEntry):
    """One mail still to be fetched, ours for a while."""

    @property
    def provider(self) -> str:
        """Its name. In Redis it is "sender", as in version 0.1, which may run beside this."""
        return self.fields["sender"].decode()

    @property
    def first(self) -> bytes:
        """What was added."""
        return self.fields["first"]

    @property
    def step(self) -> bytes:
        """What :meth:`Fetches.hold` or :meth:`Fetches.put_back` noted last; b"" = nothing."""
        return self.fields["step"]


class Fetches:
    """All that is still to be fetched."""

    def __init__(self, store: Store, *, lease_seconds: float = _LEASE_SECONDS) -> None:
        self._queue = LeaseQueue(
            store, keys.FETCHES, labels=("sender",), contents=("first", "step"), lease_seconds=lease_seconds
        )

    @property
    def changed(self) -> asyncio.Event:
        """Set by this process: something may be due sooner; who takes clears it."""
        return self._queue.changed

    @property
    def waiting(self) -> int:
        """Entries, as of the last :meth:`take`."""
        return self._queue.waiting

    async def add(self, provider: str, event: str, first: bytes, *, keep_seconds: int) -> tuple[str, bool]:
        """Keeps one, once for each event of a provider; its id, and whether it is new.

        After ``keep_seconds`` it is overdue. Raises TooLarge: it is more than all may be. Raises Unavailable also
        when the queue is full.
        """
        fetch_id = hashlib.sha256(f"{provider}\n{event}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
        fields = {"sender": provider.encode(), "first": first, "step": b""}
        try:
            new = await self._queue.add(
                fetch_id, fields, keep_seconds=keep_seconds, max_entries=MAX_ENTRIES, max_bytes=MAX_BYTES
            )
        except TooLarge:
            raise TooLarge(
                "the post only announces a mail, and is too large to be kept until that is fetched"
            ) from None
        except QueueFull:
            raise Unavailable("too many mails are still to be fetched; try again") from None
        return fetch_id, new

    async def take(self) -> Lease | float:
        """One that is due, or in how many seconds one will be (``inf`` = there is none)."""
        found = await self._queue.take()
        if isinstance(found, float):
            return found
        return Lease(found.id, found.token, found.fields, found.tries, found.overdue)

    async def hold(self, lease: Lease, step: bytes | None = None) -> bool:
        """Begins the lease's time anew, and notes what comes next; None = as before. False: it is ours no more."""
        return await self._queue.hold(lease, _noted(step))

    async def put_back(self, lease: Lease, *, seconds: float, step: bytes | None = None) -> bool:
        """Lets it be taken again after so long. False: it was ours no more."""
        return await self._queue.put_back(lease, seconds=seconds, contents=_noted(step))

    async def finish(self, lease: Lease) -> bool:
        """Forgets it. False: it was ours no more."""
        return await self._queue.finish(lease)


def _noted(step: bytes | None) -> dict[str, bytes]:
    return {} if step is None else {"step": step}
