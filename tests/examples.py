"""How many examples hypothesis tries: few in each run, others in the next; EXAMPLES=10 makes it ten times as many."""

from __future__ import annotations

import os

_TIMES = int(os.environ.get("EXAMPLES", "1"))


def examples(number: int) -> int:
    """``number``, or as many times that as this run has been asked for."""
    return number * _TIMES
