"""Live letters that wait while their socket is not live yet: it is being let in, or reads what it missed."""

from __future__ import annotations

from collections.abc import Mapping

from relay.delivery.letter import Gap, Letter
from relay.message_id import MessageId


class PendingQueue:
    """Letters in order, limited in bytes; beyond it all are forgotten, because the letterbox has them."""

    __slots__ = ("_bytes", "_items", "_limit_bytes", "overflowed")

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.clear()

    def clear(self) -> None:
        """Begins anew."""
        self._items: list[Letter | Gap] = []
        self._bytes = 0
        self.overflowed = False

    @property
    def size_bytes(self) -> int:
        """Of what is held."""
        return self._bytes

    def put(self, item: Letter | Gap) -> None:
        """Keeps one; of a mail beyond the limit one alone."""
        size = item.size_bytes if isinstance(item, Letter) else 0
        if self._items and self._bytes + size > self._limit_bytes:
            self.clear()
            self.overflowed = True
        if not self.overflowed:
            self._items.append(item)
            self._bytes += size

    def take(self) -> list[Letter | Gap]:
        """All that is held; then nothing is."""
        items = self._items
        self.clear()
        return items


class AlreadySent:
    """How far a socket that resumed has read ahead of the others: it gets no letter twice."""

    __slots__ = ("_last",)

    def __init__(self, last: Mapping[str, MessageId]) -> None:
        """``last`` is, by inbox, the last message that the socket has."""
        self._last = dict(last)

    def __bool__(self) -> bool:
        return bool(self._last)

    def is_new(self, item: Letter | Gap) -> bool:
        """Whether the socket does not have it yet; an inbox that has passed its floor has none any more."""
        if isinstance(item, Gap):
            return True
        floor = self._last.get(item.inbox)
        if floor is None:
            return True
        if item.id.repeats(floor):
            return False
        del self._last[item.inbox]
        return True
