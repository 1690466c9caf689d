"""Re-checks listeners whose permission may have been revoked; closes those that lost it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from relay.delivery.letter import Listener
from relay.errors import Refused

_AT_ONCE = 100


class Gate(Protocol):
    """Who may listen; accounts/gate.py is it."""

    async def admit(
        self, key_hash: str, claimed_account: str | None, addresses: Collection[str], domains: Collection[str]
    ) -> str:
        """The account whose key this is, if it may listen to all that. Raises Refused, Unavailable."""


class Revalidator:
    """Listeners whose permission has to be checked again. :meth:`run` has an owner."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._suspects: dict[Listener, None] = {}
        self._now = asyncio.Event()

    def recheck(self, listeners: Collection[Listener]) -> None:
        """Check these again soon: their permission may have been revoked."""
        self._suspects.update(dict.fromkeys(listeners))
        if listeners:
            self._now.set()

    def forget(self, listener: Listener) -> None:
        """The listener has left."""
        self._suspects.pop(listener, None)

    async def run(self) -> None:
        """Never returns. Raises Unavailable: then the link to Redis is given up, and with the next all are asked."""
        while True:
            await self._now.wait()
            self._now.clear()
            while self._suspects:
                batch = [self._suspects.popitem()[0] for _ in range(min(_AT_ONCE, len(self._suspects)))]
                await asyncio.gather(*map(self._ask_again, batch))

    async def _ask_again(self, listener: Listener) -> None:
        try:
            await self._gate.admit(
                listener.key_hash, listener.account or None, listener.addresses, listener.domains
            )
        except Refused as refused:
            listener.end(refused.close, refused.text)
