"""What every test may use. A test has one limit for all that it waits for: pyproject.toml, ``timeout``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests import harness
from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """As in production."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One real Redis for all tests that do not break it."""
    with RedisServer() as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """The same cases run on the embedded store and on a real Redis, empty at the start of each."""
    if request.param == "memory":
        return "memory://"
    server: RedisServer = request.getfixturevalue("redis_server")
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    return server.url


@pytest.fixture
async def relay(
    redis_url: str, tmp_path: Path, request: pytest.FixtureRequest, anyio_backend: Any
) -> AsyncIterator[harness.Relay]:
    """A running relay; ``@pytest.mark.settings(name=value)`` overrides settings."""
    marker = request.node.get_closest_marker("settings")
    async with harness.relay(redis_url, tmp_path, **(marker.kwargs if marker else {})) as running:
        yield running
