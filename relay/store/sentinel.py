"""The master that Sentinels name, asked for at each new connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from redis import RedisError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from relay.redis_url import Node, RedisUrl

_OF_THE_MASTER_ONLY = {
    "username",
    "password",
    "db",
    "client_name",
    "connection_class",
    "max_connections",
    "timeout",
}


class _Sentinels(Sentinel):
    """redis-py's, but each has its share of the time: one that hangs must not use up that of the others."""

    def __init__(self, nodes: Sequence[Node], options: dict[str, Any], *, share_seconds: float) -> None:
        super().__init__([], sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        self.sentinels = [Redis(host=host, port=port, **options) for host, port in nodes]
        self._share_seconds = share_seconds

    async def discover_master(self, service_name: str) -> Node:
        """Asks one after the other; who answers is asked first the next time. Raises MasterNotFoundError."""
        problem: Exception | None = None
        for sentinel in tuple(self.sentinels):
            try:
                async with asyncio.timeout(self._share_seconds):
                    masters = cast("dict[str, dict[str, Any]]", await sentinel.sentinel_masters())
            except (RedisError, OSError, TimeoutError) as exc:
                problem = exc
                continue
            state = masters.get(service_name)
            if state and self.check_master_state(state, service_name):
                self.sentinels.remove(sentinel)
                self.sentinels.insert(0, sentinel)
                return str(state["ip"]), int(state["port"])
        raise MasterNotFoundError("no Sentinel names a master") from problem


class _Pool(BlockingConnectionPool, SentinelConnectionPool):
    """Waits for a free connection as our other pools do, and ends the connections to the Sentinels as well."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


def sentinel_pool(url: RedisUrl, options: dict[str, Any], *, timeout_seconds: float) -> BlockingConnectionPool:
    """Connections to the master of a service. ``options`` are a pool's; Sentinels have a user of their own."""
    tls = options.get("connection_class") is SSLConnection
    share_seconds = timeout_seconds / (len(url.nodes) + 1)  # the last share is for the master
    own = {name: value for name, value in options.items() if name not in _OF_THE_MASTER_ONLY} | {
        "username": url.sentinel_username,
        "password": url.sentinel_password,
        "socket_connect_timeout": share_seconds,
        "ssl": tls,
    }
    master = {name: value for name, value in options.items() if name not in ("host", "port", "connection_class")}
    return _Pool(
        service_name=url.service,
        sentinel_manager=_Sentinels(
            url.nodes,
            {name: value for name, value in own.items() if name not in ("host", "port")},
            share_seconds=share_seconds,
        ),
        connection_class=SentinelManagedSSLConnection if tls else SentinelManagedConnection,
        **master,
    )
