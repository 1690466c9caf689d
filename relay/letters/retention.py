"""What an inbox keeps of its mail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retention:
    """Limits of one inbox; beyond any of them the oldest goes, and the newest never but by its age."""

    messages: int
    size_bytes: int  # of rows and letters, as they are kept
    seconds: int
