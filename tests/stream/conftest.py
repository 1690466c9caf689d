"""Every test of a socket runs the fast way on both stores, and the portable way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import harness

WAYS = {"wire-memory": ("memory", False), "wire-redis": ("redis", False), "portable-redis": ("redis", True)}


@pytest.fixture(params=WAYS)
async def relay(
    request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: Any
) -> AsyncIterator[harness.Relay]:
    store, portable = WAYS[request.param]
    marker = request.node.get_closest_marker("settings")
    url = "memory://" if store == "memory" else request.getfixturevalue("empty_redis_url")
    overrides = marker.kwargs if marker else {}
    async with harness.relay(url, tmp_path, portable=portable, **overrides) as running:
        yield running
