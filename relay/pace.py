"""How slowly a body may come: who sends one is given some seconds, and then as long as it keeps the least rate."""

from __future__ import annotations

LEAST_BYTES_PER_SECOND = 64 * 1024  # half of what a bad mobile link gives; 25 MiB in it take seven minutes


def seconds_for(received_bytes: int, *, request_seconds: float) -> float:
    """Seconds since a body began, at whose end more than ``received_bytes`` must be there."""
    return request_seconds + received_bytes / LEAST_BYTES_PER_SECOND
