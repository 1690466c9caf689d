"""The connection to Redis, or to the one inside the process, and what its failures mean.

Every call is bounded in time, none is repeated behind the caller's back (a publish that is sent twice would be
two messages), and every failure is one error: Unavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio as redis_asyncio
from redis import RedisError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from relay.errors import ConfigError, Unavailable
from relay.settings import EMBEDDED

Client = redis_asyncio.Redis
_MAX_CONNECTIONS = 64  # calls that may be under way at once; more wait for one to end, inside their time limit


class Store:
    """A Redis client with the rules above. ``client`` is for pipelines and scripts inside :meth:`call`."""

    def __init__(self, client: Client, *, timeout_seconds: float) -> None:
        self.client = client
        self._timeout_seconds = timeout_seconds

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Client]:
        """Bounds what happens inside. Raises Unavailable: it may or may not have been done."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                yield self.client
        except (RedisError, OSError, TimeoutError) as exc:
            raise Unavailable(f"Redis does not answer ({type(exc).__name__}); try again") from exc

    async def forget_idle_connections(self) -> None:
        """Closes what is not in use: after a restart of Redis, each such connection would fail one more call."""
        await self.client.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        """Ends all connections."""
        await self.client.aclose()


def connect(url: str, *, timeout_seconds: float) -> Store:
    """A store for a Redis URL, or for ``memory://``: a Redis of its own inside this process.

    Connects on first use. Replies are bytes. Raises ConfigError: the URL cannot be meant.
    """
    if url == EMBEDDED:
        import fakeredis  # noqa: PLC0415  # some 70 ms that a command with a real Redis need not wait for

        client: Client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer(version=(7,)))
        return Store(client, timeout_seconds=timeout_seconds)
    tcp = {} if url.startswith("unix:") else {"socket_keepalive": True}
    try:
        pool = redis_asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=_MAX_CONNECTIONS,
            timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            **tcp,
        )
        pool.make_connection()  # type: ignore[no-untyped-call]  # connects nothing; meets unknown options
    except (ValueError, TypeError) as exc:
        # Without the text of exc: it may repeat the URL, and so the password.
        raise ConfigError(
            [f"RELAY_REDIS_URL: has an option that redis-py refuses ({type(exc).__name__})"]
        ) from None
    return Store(redis_asyncio.Redis.from_pool(pool), timeout_seconds=timeout_seconds)
