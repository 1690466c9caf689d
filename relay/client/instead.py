"""What came instead of a mail that was waited for, in words for a person. Pure, and total: a service told it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = 3  # the newest
_MAX_CHARACTERS = 80

Entries = Sequence[Mapping[str, Any]]


def told(misses: Entries, others: Entries) -> str:
    """``misses`` came to the inbox, and were not it; ``others`` came to addresses like it. Oldest first, both."""
    said = _came(misses) if misses else "no mail at all came"
    if not others:
        return said
    return f"{said}; but mail for another address did: {'; '.join(map(_other, others[-_SHOWN:]))}"


def _came(misses: Entries) -> str:
    count = len(misses)
    head = "1 other mail came" if count == 1 else f"{count} other mails came"
    head += f", the last {_SHOWN} were" if count > _SHOWN else ""
    return f"{head}: {'; '.join(map(_miss, misses[-_SHOWN:]))}"


def _miss(miss: Mapping[str, Any]) -> str:
    subject = _shown(miss.get("subject"))
    named = f'"{subject}"' if subject else "one without a subject"
    return f"{named}{_from(_author(miss.get('from')))}{_at(miss.get('received'))}: {_shown(miss.get('text'))}"


def _other(other: Mapping[str, Any]) -> str:
    author = other.get("from", other.get("sender"))  # a service of version 0.1 says "sender"
    return f"{_shown(other.get('inbox'))}{_from(_shown(author))}{_at(other.get('time'))}"


def _author(mailboxes: object) -> str:
    first = mailboxes[0] if isinstance(mailboxes, list) and mailboxes else None
    return _shown(first.get("address")) if isinstance(first, dict) else ""


def _from(author: str) -> str:
    return f" from {author}" if author else ""


def _at(time: object) -> str:
    """Time of day in UTC, of ISO 8601 with Z."""
    clock = _shown(time).partition("T")[2].partition(".")[0].removesuffix("Z")
    return f" at {clock}Z" if clock else ""


def _shown(value: object) -> str:
    """Short, and printable: strangers wrote it."""
    text = value if isinstance(value, str) else ""
    cut = text[:_MAX_CHARACTERS]
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in cut)
    return f"{shown}…" if len(text) > _MAX_CHARACTERS else shown
