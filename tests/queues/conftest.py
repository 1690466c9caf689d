"""The queues run on the embedded store, on one Redis and on a cluster: the same cases for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from relay import store
from relay.store import Store
from tests.redis_kinds.servers import Cluster, cluster


@pytest.fixture(scope="session")
def three_nodes() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture
def empty_cluster_url(three_nodes: Cluster) -> str:
    for node in three_nodes.nodes:
        with redis.Redis.from_url(node.url) as client:
            client.flushall()
    return three_nodes.url


@pytest.fixture(params=["memory", "redis", "cluster"])
def redis_url(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "memory://"
    return str(request.getfixturevalue("empty_redis_url" if request.param == "redis" else "empty_cluster_url"))


@pytest.fixture
async def opened(redis_url: str, anyio_backend: object) -> AsyncIterator[Store]:
    opened = store.connect(redis_url, timeout_seconds=10)
    yield opened
    await opened.close()


@pytest.fixture
async def beside(redis_url: str, opened: Store) -> AsyncIterator[Store]:
    """The same Redis as another process sees it; the embedded one is seen by one process alone."""
    if redis_url == "memory://":
        yield opened
        return
    beside = store.connect(redis_url, timeout_seconds=10)
    yield beside
    await beside.close()
