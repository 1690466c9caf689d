"""Each bad day has a Redis of its own, to be broken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """It keeps its data when it is killed."""
    with RedisServer(persistent=True) as server:
        yield server
