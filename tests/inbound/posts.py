"""Posts by hand, for what a provider proves and parses before any HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import strategies as st
from starlette.datastructures import Headers, QueryParams

from relay.inbound.webhook.provider import Post

NOW = datetime(2026, 9, 1, 12, 0, 0, tzinfo=UTC)

Pairs = Sequence[tuple[str, str | bytes]]


def post(headers: Pairs = (), body: bytes = b"", *, query: str = "", received: datetime = NOW) -> Post:
    """A request as the door hands it to a provider; text in headers goes over the wire as UTF-8."""
    raw = [(name.lower().encode(), value.encode() if isinstance(value, str) else value) for name, value in headers]
    return Post(Headers(raw=raw), QueryParams(query), body, received)


def header_values() -> st.SearchStrategy[bytes]:
    """What HTTP lets stand in a header: any byte but line ends."""
    return st.binary(max_size=60).map(lambda value: value.translate(None, b"\r\n\0"))
