"""How many wrong keys each client address gave of late, at whichever door; who guesses is told to wait.

A valid key passes whatever its address has done: behind a proxy that is not trusted all clients have one address, and
whoever guesses there must not lock the others out. A key has 192 random bits (api_keys.py), so the count protects the
log and the eyes of who reads it; what it cannot do is to make guessing harder.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

import structlog

from relay.errors import TooManyRequests
from relay.metrics import Metrics

log = structlog.get_logger()

Door = Literal["rest", "socket"]

_WINDOW_SECONDS = 60.0
_MAX_CLIENTS = 10_000  # the longest silent is forgotten first


class WrongKeys:
    """Counts refused keys by client address, in windows of a minute, in this process."""

    def __init__(
        self, metrics: Metrics, *, max_per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``max_per_minute``: that are answered as what they are."""
        self._metrics = metrics
        self._max_per_minute = max_per_minute
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, int]] = OrderedDict()  # address -> window's start, count

    def count(self, client: str, door: Door) -> None:
        """Notes one refusal for a key that is missing or wrong (401, close 4401). ``client``: its address.

        Raises TooManyRequests: there were too many from there, and this is the answer instead.
        """
        now = self._clock()
        start, count = self._clients.get(client, (now, 0))
        if now - start >= _WINDOW_SECONDS:
            start, count = now, 0
        self._clients[client] = (start, count + 1)
        self._clients.move_to_end(client)
        if len(self._clients) > _MAX_CLIENTS:
            self._clients.popitem(last=False)
        self._tell(client, door, count + 1)
        if count >= self._max_per_minute:
            raise TooManyRequests("too many wrong keys from this address; wait a minute, or give a valid one")

    def _tell(self, client: str, door: Door, count: int) -> None:
        """A line for each until there are too many, and then one that says so."""
        self._metrics.wrong_keys.labels(door).inc()
        if count <= self._max_per_minute:
            log.info("key.wrong", door=door, client=client)
        elif count == self._max_per_minute + 1:
            log.warning("key.guessed", door=door, client=client, per_minute=self._max_per_minute)
