"""Which events a person means who asks about one address: also those of sockets, and of mail that just missed it. Pure.

A socket's event names what it listens to as people read it, so it is looked for in that text. One that says "and 3
more" may mean any address, and is shown rather than hidden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from relay.address import domain_of

_AND_MORE = re.compile(r" and [0-9]+ more\Z")


def is_relevant(inbox: str, event: Mapping[str, Any]) -> bool:
    """Whether an event is of a canonical address, or may be. Total: the event may be of another version."""
    if inbox in (event.get("inbox"), event.get("near")) or "missing" in event:
        return True
    names = event.get("addresses")
    return isinstance(names, str) and bool(names) and _may_name(inbox, names)


def _may_name(inbox: str, names: str) -> bool:
    listed = f", {names}, "
    return f", {inbox}, " in listed or f", {domain_of(inbox)}, " in listed or _AND_MORE.search(names) is not None
