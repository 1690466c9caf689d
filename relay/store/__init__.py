"""Redis, whatever kind it is, or the one inside the process, and what its failures mean.

Every call is bounded in time, none is repeated behind the caller's back (a publish that is sent twice would be
two messages), and every failure is one error: Unavailable.
"""

from __future__ import annotations

import ssl
from functools import partial
from typing import Any

import redis.asyncio as redis_asyncio
from redis import RedisError
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from relay import redis_url
from relay.errors import ConfigError
from relay.redis_url import BadRedisUrl, Kind, RedisUrl
from relay.store.cluster import ClusterStore
from relay.store.script import Script
from relay.store.sentinel import sentinel_pool
from relay.store.single import Client, Command, Store

__all__ = ["Client", "Command", "Script", "Store", "connect"]

_MAX_CONNECTIONS = 64  # calls that may be under way at once; more wait for one to end, inside their time limit


def connect(url: str, *, timeout_seconds: float, wait_replicas: int = 0) -> Store:
    """A store for a Redis URL, or for ``memory://``: a Redis of its own inside this process.

    Connects on first use. Replies are bytes. ``wait_replicas``: how many must have what is asked with ``durable``.
    Raises ConfigError: the URL cannot be meant.
    """
    try:
        parsed = redis_url.parse(url)
    except BadRedisUrl as exc:
        raise ConfigError([f"RELAY_REDIS_URL: {exc}"]) from None
    if parsed.kind is Kind.EMBEDDED:
        import fakeredis  # noqa: PLC0415  # some 70 ms that a command with a real Redis need not wait for

        client: Client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer(version=(7,)))
        return Store(client, timeout_seconds=timeout_seconds)
    try:
        return _connect(parsed, timeout_seconds, wait_replicas)
    except (ValueError, TypeError, RedisError) as exc:
        # Without the text of exc: it may repeat the URL, and so the password.
        raise ConfigError([f"RELAY_REDIS_URL: an option of it is refused ({type(exc).__name__})"]) from None
    except (OSError, ssl.SSLError):
        raise ConfigError(["RELAY_REDIS_URL: a file that an option ssl_… names cannot be read or used"]) from None


def _connect(url: RedisUrl, timeout_seconds: float, wait_replicas: int) -> Store:
    options = _options(url, timeout_seconds)
    if url.kind is Kind.CLUSTER:
        nodes = partial(_node, options, wait_replicas)
        return ClusterStore(url.nodes, nodes, timeout_seconds=timeout_seconds, where=url.where)
    pool = (
        sentinel_pool(url, options, timeout_seconds=timeout_seconds)
        if url.kind is Kind.SENTINEL
        else redis_asyncio.BlockingConnectionPool(**options)
    )
    _try(pool)
    return Store(
        redis_asyncio.Redis.from_pool(pool),
        timeout_seconds=timeout_seconds,
        where=url.where,
        wait_replicas=wait_replicas,
        notes_mark=True,
    )


def _node(options: dict[str, Any], wait_replicas: int, node: redis_url.Node, timeout_seconds: float) -> Store:
    """One node of a cluster. Its connections serve one batch after the other, so it has few."""
    pool = redis_asyncio.BlockingConnectionPool(**options | {"host": node[0], "port": node[1]})
    _try(pool)
    client = redis_asyncio.Redis.from_pool(pool)
    where = f"{node[0]}:{node[1]}"
    return Store(client, timeout_seconds=timeout_seconds, where=where, wait_replicas=wait_replicas)


def _options(url: RedisUrl, timeout_seconds: float) -> dict[str, Any]:
    """What the URL says, and our rules, as keywords of redis-py's pools."""
    said: dict[str, Any] = dict(parse_url(url.plain))
    tcp = {} if "path" in said else {"socket_keepalive": True}
    return {
        "max_connections": _MAX_CONNECTIONS,
        "timeout": timeout_seconds,
        # Each call is bounded here, by asyncio.timeout. redis-py's own limit is asyncio.wait_for, which on Python
        # 3.11 now and then loses a cancellation: a task that was told to end went on for ever.
        "socket_timeout": None,
        "socket_connect_timeout": timeout_seconds,
        "retry": Retry(NoBackoff(), 0),
        # Each would be a question to Redis at every new connection, which a narrow ACL refuses; the second would
        # also move a connection to another host behind its owner's back.
        "driver_info": None,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        **tcp,
        **said,
    }


def _try(pool: redis_asyncio.ConnectionPool) -> None:
    """Connects nothing; meets unknown options and unreadable certificates."""
    connection = pool.make_connection()  # type: ignore[no-untyped-call]
    if isinstance(connection, SSLConnection):
        connection.ssl_context.get()
