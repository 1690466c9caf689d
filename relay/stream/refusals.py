"""How often each client address was refused of late: who guesses keys is answered before the upgrade."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_WINDOW_SECONDS = 60.0
_MAX_CLIENTS = 10_000  # the longest silent is forgotten first


class Refusals:
    """Counts refusals by client address, in windows of a minute, in this process."""

    def __init__(self, *, max_per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_per_minute = max_per_minute
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, int]] = OrderedDict()  # address -> window's start, count

    def count(self, client: str) -> None:
        """Notes one refusal."""
        start, count = self._current(client)
        self._clients[client] = (start, count + 1)
        self._clients.move_to_end(client)
        if len(self._clients) > _MAX_CLIENTS:
            self._clients.popitem(last=False)

    def too_many(self, client: str) -> bool:
        """Whether the client has to wait for the end of its window."""
        return self._current(client)[1] >= self._max_per_minute

    def _current(self, client: str) -> tuple[float, int]:
        now = self._clock()
        start, count = self._clients.get(client, (now, 0))
        return (start, count) if now - start < _WINDOW_SECONDS else (now, 0)
