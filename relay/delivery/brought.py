"""Large letters that this process has just brought to Redis, for its own listeners: their doorbell only announces them.

A process that takes mail in would else read it back from Redis, behind everything that it takes in meanwhile.
"""

from __future__ import annotations

from relay.letters.layout import Sealed

_MAX_BYTES = 8 * 1024 * 1024  # doorbells come within milliseconds; the oldest make room


class Brought:
    """Letters by the token under which they were brought; each is taken once."""

    def __init__(self) -> None:
        self._letters: dict[str, bytes] = {}
        self._bytes = 0

    def put(self, token: str, letter: bytes) -> None:
        """Keeps it until it is taken, or others need the room."""
        self._letters[token] = letter
        self._bytes += len(letter)
        while self._bytes > _MAX_BYTES:
            self._bytes -= len(self._letters.pop(next(iter(self._letters))))

    def take(self, token: str) -> Sealed | None:
        """None: it was brought by another process, or made room."""
        letter = self._letters.pop(token, None)
        if letter is None:
            return None
        self._bytes -= len(letter)
        return Sealed.parse_or_none(letter)
