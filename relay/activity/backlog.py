"""Events that wait to be written: bounded in number and in bytes. The oldest make room, and are counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

MAX_ENTRIES = 10_000
MAX_BYTES = 4 * 1024 * 1024
_MAX_ACCOUNTS = 1000  # that are told how many of their events are missing; of the others only the operator is
_OVERHEAD_BYTES = 200  # of one entry, in memory, beside its texts


class Entry(NamedTuple):
    """One event, ready to be written."""

    account: str  # whose it is; "" = not known, or nobody's
    encoded: bytes  # JSON
    order: float = 0.0  # among those that are written together, which are sorted by it; when it happened, Unix ms
    inbox: str = ""  # asked for an owner when ``account`` is ""; "" = it is nobody's
    missed: bool = False  # nobody got the mail: an address that was meant may be near


class Backlog:
    """A queue that nobody waits for."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self.dropped: dict[str, int] = {}  # by account; "" = of none, or of others

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> int:
        """Takes one; how many older ones had to go."""
        self._entries.append(entry)
        self._bytes += _weight(entry)
        return self._shrink()

    def take(self, count: int) -> list[Entry]:
        """The oldest ``count``, or all."""
        taken = [self._entries.popleft() for _ in range(min(count, len(self._entries)))]
        self._bytes -= sum(map(_weight, taken))
        return taken

    def put_back(self, entries: Sequence[Entry]) -> int:
        """Takes what could not be written, in front; how many of them had to go."""
        self._entries.extendleft(reversed(entries))
        self._bytes += sum(map(_weight, entries))
        return self._shrink()

    def told(self, dropped: Mapping[str, int]) -> None:
        """These were told of; what was dropped meanwhile is left."""
        for account, count in dropped.items():
            self.dropped[account] -= count
            if not self.dropped[account]:
                del self.dropped[account]

    def _shrink(self) -> int:
        dropped = 0
        while len(self._entries) > MAX_ENTRIES or self._bytes > MAX_BYTES:
            self._drop()
            dropped += 1
        return dropped

    def _drop(self) -> None:
        entry = self._entries.popleft()
        self._bytes -= _weight(entry)
        known = entry.account in self.dropped or len(self.dropped) < _MAX_ACCOUNTS
        account = entry.account if known else ""
        self.dropped[account] = self.dropped.get(account, 0) + 1


def _weight(entry: Entry) -> int:
    return len(entry.encoded) + _OVERHEAD_BYTES
