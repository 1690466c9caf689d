"""The open files of this process: as many as it may have, and some kept for Redis and for who posts mail."""

from __future__ import annotations

import resource
from contextlib import suppress

_RESERVED = 128  # for links to Redis, questions to providers and the DNS, the accounts file
_RESERVED_SHARE = 4  # and where only few may be open, a quarter of them

HINT = "allow this process more open files: ulimit -Hn, LimitNOFILE of systemd, --ulimit nofile of a container"


def raise_limit() -> int:
    """Allows this process as many open files as the system lets it have; returns how many.

    Most systems start programs with 1,024, which a stranger can open in a second, and allow many more on demand.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS says "unlimited", and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def limit() -> int:
    """How many files this process may have open now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 2**31


def for_connections() -> int:
    """The first descriptor that no connection of a client may have."""
    may_open = limit()
    return may_open - min(_RESERVED, may_open // _RESERVED_SHARE)
