"""What went wrong with Redis, in words for whoever reads an answer: no host, no user, nothing of the URL."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

_CODE = re.compile(r"[A-Z]{2,}\b")  # the first word of most errors
# The first that is met anywhere in the chain of causes. The operator's come first: no retry mends them.
_WORDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((AuthenticationError, AuthorizationError), "Redis refuses our password or user (RELAY_REDIS_URL)"),
    ((NoPermissionError,), "Redis forbids our user a command or a key (its ACL)"),
    (
        (ssl.SSLError,),
        "Redis and we do not agree on TLS: certificate, or redis:// for rediss:// (RELAY_REDIS_URL)",
    ),
    ((MovedError,), "Redis is a cluster, and RELAY_REDIS_URL does not begin with redis+cluster://"),
    ((ReadOnlyError,), "Redis is a replica that takes no writes; try again"),
    ((BusyLoadingError,), "Redis is still loading its data; try again"),
    ((OutOfMemoryError,), "Redis is full (maxmemory); try again"),
    ((ClusterDownError,), "Redis Cluster does not serve this part of its data now; try again"),
    ((MasterNotFoundError,), "no Sentinel knows a Redis that is master now; try again"),
    ((TimeoutError, RedisTimeoutError), "Redis does not answer in time; try again"),
    ((ConnectionRefusedError, RedisConnectionError, OSError), "Redis cannot be reached; try again"),
)


def words(exc: BaseException) -> str:
    """One sentence. Of what Redis replied it has the code ("WRONGTYPE") at most: the rest may hold data."""
    chain = list(_chain(exc))
    for kinds, text in _WORDS:
        if any(isinstance(link, kinds) for link in chain):
            return text
    if isinstance(exc, ResponseError):
        code = _CODE.match(str(exc))
        return f"Redis refused ({code[0] if code else type(exc).__name__}); try again"
    return f"Redis does not answer ({type(exc).__name__}); try again"


def is_read_only(error: ResponseError) -> bool:
    """Whether a reply says that the server is a replica; inside a script, Redis 6.2 says so in the middle."""
    return isinstance(error, ReadOnlyError) or "READONLY" in str(error)


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__
