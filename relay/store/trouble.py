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

# What the operator finds out from a refusal.
_MENDED = {
    "OOM": "it is full (maxmemory)",
    "MISCONF": "it cannot write its file to disk",
    "READONLY": "it is a replica",
}
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
    ((BusyLoadingError,), "Redis is still loading its data; try again"),
    ((ClusterDownError,), "Redis Cluster does not serve this part of its data now; try again"),
    ((MasterNotFoundError,), "no Sentinel knows a Redis that is master now; try again"),
    ((TimeoutError, RedisTimeoutError), "Redis does not answer in time; try again"),
    ((ConnectionRefusedError, RedisConnectionError, OSError), "Redis cannot be reached; try again"),
)


def words(exc: BaseException) -> str:
    """One sentence. Of what Redis replied it has the code ("WRONGTYPE") at most: the rest may hold data."""
    if (refused := refusal(exc)) in _MENDED:
        return f"Redis refuses writes: {refused}, {_MENDED[refused]}; try again"
    chain = list(_chain(exc))
    for kinds, text in _WORDS:
        if any(isinstance(link, kinds) for link in chain):
            return text
    if isinstance(exc, ResponseError):
        code = _CODE.match(str(exc))
        return f"Redis refused ({code[0] if code else type(exc).__name__}); try again"
    return f"Redis does not answer ({type(exc).__name__}); try again"


def refusal(exc: BaseException) -> str:
    """The code with which Redis refuses what it was asked to write: OOM, MISCONF, READONLY, NOPERM; "" = it does not.

    A script's error has the code in the middle, and redis-py takes it off where it has a class for it.
    """
    for link in _chain(exc):
        for kind, code in _REFUSALS.items():
            if isinstance(link, kind):
                return code
        if isinstance(link, ResponseError) and (found := _REFUSED.search(str(link))):
            return found[0]
    return ""


_REFUSALS = {OutOfMemoryError: "OOM", ReadOnlyError: "READONLY", NoPermissionError: "NOPERM"}
_REFUSED = re.compile(r"\b(?:OOM|MISCONF|READONLY)\b")


def is_read_only(error: ResponseError) -> bool:
    """Whether a reply says that the server is a replica; inside a script, Redis 6.2 says so in the middle."""
    return isinstance(error, ReadOnlyError) or "READONLY" in str(error)


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__
