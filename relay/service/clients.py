"""Who is connected: how many connections a client address has, and which of them make room when files run out."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Protocol, TypeGuard

import structlog

from relay import network
from relay.service import descriptors

log = structlog.get_logger()

_UNFINISHED_BYTES = 16 * 1024 * 1024  # of all heads that are not whole yet
_SMALL_HEAD_BYTES = 16 * 1024  # a head up to this size is not counted: nearly every one is smaller
_LEAST_EVICTED = 16  # at once, because looking for them takes as long as there are connections
_EVICTED_SHARE = 64
_SECONDS_BETWEEN_LINES = 10.0  # of the log, about what a stranger can do a thousand times a second


class Waiting(Protocol):
    """A connection of which nothing is under way, as far as we know."""

    waits_since: float | None  # the loop's time; None = a request of it is being answered

    def make_room(self) -> None:
        """Ends the connection."""
        ...


class Connections(set[Any]):
    """The connections of one client address, in the place of the server's set, to which it passes everything on."""

    def __init__(self, of_server: set[Any], client: str, table: dict[str, Connections]) -> None:
        super().__init__()
        self._of_server = of_server
        self._client = client
        self._table = table

    def add(self, member: object) -> None:
        super().add(member)
        self._of_server.add(member)
        self._table[self._client] = self

    def discard(self, member: object) -> None:
        super().discard(member)
        self._of_server.discard(member)
        if not self:
            self._table.pop(self._client, None)


class Clients:
    """The connections of a server, by client address. WebSockets are among them for as long as they are open."""

    def __init__(self, *, max_per_client: int, trusted_proxies: str) -> None:
        """``trusted_proxies``: as in RELAY_TRUSTED_PROXIES. They bring the connections of many, and have no limit."""
        self._max_per_client = max_per_client
        self._table: dict[str, Connections] = {}
        self._is_trusted = lru_cache(maxsize=1024)(_trust(trusted_proxies))
        self._first_reserved = descriptors.for_connections()
        self._unfinished_bytes = 0
        self._silent_until = 0.0

    def of(self, client: str, of_server: set[Any]) -> set[Any]:
        """The set in which the connections of a client address stand. ``of_server``: all of the server."""
        if self._is_trusted(client):
            return of_server
        return self._table.get(client) or Connections(of_server, client, self._table)

    def too_many(self, client: str, connections: set[Any]) -> bool:
        """Whether one more connection would be too many for a client, whose others are ``connections``."""
        if isinstance(connections, Connections) and len(connections) >= self._max_per_client:
            self._log("clients.too_many_connections", client=client, connections=len(connections))
            return True
        return False

    def has_room(self, descriptor: int, everybody: Iterable[object]) -> bool:
        """Whether a new connection with this descriptor may stay; those that wait longest make room for it.

        A system gives the lowest descriptor that is free, so it says how many files are open.
        """
        if descriptor < self._first_reserved:
            return True
        waiting = [(one.waits_since or 0.0, id(one), one) for one in everybody if _waits(one)]
        for _, _, longest in heapq.nsmallest(max(_LEAST_EVICTED, len(waiting) // _EVICTED_SHARE), waiting):
            longest.make_room()
        self._log("clients.files_used_up", open_files=descriptor, evicted=bool(waiting), hint=descriptors.HINT)
        return bool(waiting)

    def hold_head(self, held_bytes: int, more_bytes: int) -> bool:
        """Counts bytes of a head that is not whole yet, of which ``held_bytes`` have come. False: there are too many
        of others."""
        before = max(held_bytes - _SMALL_HEAD_BYTES, 0)
        more = max(held_bytes + more_bytes - _SMALL_HEAD_BYTES, 0) - before
        self._unfinished_bytes += more
        return more <= 0 or self._unfinished_bytes <= _UNFINISHED_BYTES

    def _log(self, event: str, **values: object) -> None:
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _SECONDS_BETWEEN_LINES
            log.warning(event, **values)


def _waits(one: object) -> TypeGuard[Waiting]:
    return getattr(one, "waits_since", None) is not None


def _trust(proxies: str) -> Callable[[str], bool]:
    names = {name for name in map(str.strip, proxies.split(",")) if name}
    among = [one for name in names - {"*"} for one in _network(name)]

    def is_trusted(client: str) -> bool:
        return "*" in names or client in names or network.is_in(client, among)

    return is_trusted


def _network(name: str) -> tuple[network.Network, ...]:
    try:
        return network.networks((name,))
    except ValueError:  # the path of a socket, say, which is compared as it is written
        return ()
