"""What can happen, and how texts of strangers stand in it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import orjson

_MAX_CHARACTERS = 320  # as long as an address may be


class Kind(StrEnum):
    """What an event is about; the words are what clients read."""

    RECEIVED = "received"
    REFUSED = "refused"
    DELIVERED = "delivered"
    UNHEARD = "unheard"
    SOCKET_OPENED = "socket-opened"
    SOCKET_REFUSED = "socket-refused"
    SOCKET_CLOSED = "socket-closed"
    REPLAYED = "replayed"
    GAP = "gap"
    NEAR_MISS = "near-miss"
    TRIMMED = "trimmed"


def encoded(at_ms: int, kind: Kind, inbox: str, members: Mapping[str, Any]) -> bytes:
    """An event as it is kept; a member that is "" is not shown."""
    return orjson.dumps({"time": at_ms, "kind": kind, "inbox": inbox, **members})


def shown(text: str) -> str:
    """A text as it may be kept: short, and printable, so that it is JSON and commands no terminal."""
    short = text[:_MAX_CHARACTERS]
    if short.isprintable():
        return short
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in short)
