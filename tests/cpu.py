"""How much CPU code may take: far above what it takes (a fifth at most), far below what quadratic code would take."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """CPU of this thread, without the tracer of coverage: it takes more than short loops do."""
    tracer = sys.gettrace()
    sys.settrace(None)
    begun = time.thread_time()
    try:
        yield
        taken = time.thread_time() - begun
    finally:
        sys.settrace(tracer)
    assert taken < seconds
