"""What every process must hear of at once: a right to listen may have ended.

A notice is published in the same Redis transaction as the change, so that neither happens without the other.
It names what changed, never a key: ``key`` notices carry the SHA-256 of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What sort of thing a notice names."""

    KEY = "key"
    ADDRESS = "address"
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Notice:
    """``name`` is a key's hash, a canonical address or a canonical domain."""

    kind: Kind
    name: str

    def encode(self) -> bytes:
        """The payload for the channel ``keys.CONTROL``."""
        return f"{self.kind}\n{self.name}".encode()

    @classmethod
    def decode(cls, payload: bytes) -> Notice | None:
        """The notice in a payload; None when it is none of ours (a newer version's, say)."""
        kind, _, name = payload.decode("utf-8", "replace").partition("\n")
        try:
            return cls(Kind(kind), name)
        except ValueError:
            return None
