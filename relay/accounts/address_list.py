"""The addresses of an account, read in parts: neither Redis nor this process stands still for a long list."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

from relay.accounts import places, redis_fields
from relay.accounts.reservation import Reservation
from relay.store import Store, keys

# Longer than any call to Redis may last (RELAY_REDIS_TIMEOUT_SECONDS is at most 60), clock differences included.
_UNDER_WAY_MS = 180_000

Reservations = list[Reservation]


@dataclass(frozen=True, slots=True)
class AddressPage:
    """Some of an account's addresses, in alphabetical order."""

    reservations: Reservations
    next_skip: int | None  # how many to skip for those behind them; None: there are none


class AddressList:
    """Reads, in alphabetical order. Every method raises Unavailable."""

    def __init__(self, store: Store, *, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    async def parts(self, account_id: str, *, skip: int = 0) -> AsyncGenerator[Reservations]:
        """All of them, some hundred at a time: they may be a million. Clears what a crash left over."""
        found = await places.read(self._store, account_id)
        for some in places.in_parts(found.names[skip:]):
            yield (await self._owned(account_id, some, found.taken_ms))[0]

    async def page(self, account_id: str, *, skip: int, limit: int) -> AddressPage:
        """The ``limit`` addresses behind the first ``skip``. Clears what a crash left over among them."""
        known, found, cleared = await places.read(self._store, account_id), list[Reservation](), 0
        names = known.names
        while skip < len(names) and len(found) < limit:
            some = names[skip : skip + min(limit - len(found), places.AT_ONCE)]
            owned, stale = await self._owned(account_id, some, known.taken_ms)
            found += owned
            skip, cleared = skip + len(some), cleared + stale
        return AddressPage(found, skip - cleared if skip < len(names) else None)

    async def heal(self, account_id: str) -> bool:
        """Whether places without a claim were cleared."""
        known = await places.read(self._store, account_id)
        cleared = [
            (await self._owned(account_id, some, known.taken_ms))[1] for some in places.in_parts(known.names)
        ]
        return any(cleared)

    async def _owned(
        self, account_id: str, names: Sequence[str], taken_ms: Mapping[str, int]
    ) -> tuple[Reservations, int]:
        """Those of the places that are claimed; and how many others were cleared, because they are too old."""
        rows = await self._store.ask(*(("HGETALL", keys.address(address)) for address in names))
        pairs = zip(names, map(redis_fields.of_reply, rows), strict=True)
        found = [Reservation.of(address, row) for address, row in pairs]
        old = self._now_ms() - _UNDER_WAY_MS
        stale = [r.address for r in found if r.owner != account_id and taken_ms[r.address] < old]
        async with self._store.call() as client:
            await places.leave(client, account_id, stale, now_ms=self._now_ms())
        return [r for r in found if r.owner == account_id], len(stale)
