"""The connection to Redis, or to the one inside the process, and what its failures mean.

Every call is bounded in time, none is repeated behind the caller's back (a publish that is sent twice would be
two messages), and every failure is one error: Unavailable.

Two ways lead to Redis. :meth:`Store.call` lends a client, for what is rare. :meth:`Store.ask` is for the two things
that happen all the time, a mail and a handshake: whatever is asked while the last batch is under way goes out together
in the next, so that thirty at once cost little more than one (a script call alone takes 34 microseconds of our time,
one of a batch 13).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import hiredis
import redis.asyncio as redis_asyncio
from redis import RedisError, ResponseError
from redis.asyncio import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from relay.errors import ConfigError, Unavailable
from relay.settings import EMBEDDED

Client = redis_asyncio.Redis
Command = Sequence[str | bytes | int]
_MAX_CONNECTIONS = 64  # calls that may be under way at once; more wait for one to end, inside their time limit
_MAX_BATCH_BYTES = 1024 * 1024  # a larger mail goes alone; small ones behind it wait no longer than that takes
_MAX_COPIED_BYTES = 64 * 1024


class _Question:
    """Commands of one caller, and the answer that it waits for."""

    __slots__ = ("answer", "commands", "size_bytes")

    def __init__(self, commands: Sequence[Command]) -> None:
        self.commands = commands
        last = commands[-1][-1]  # where a message is, if there is one
        self.size_bytes = len(last) if isinstance(last, bytes) else 0
        self.answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()


class Store:
    """A Redis client with the rules above."""

    def __init__(self, client: Client, *, timeout_seconds: float) -> None:
        self.client = client
        self._timeout_seconds = timeout_seconds
        self._questions: deque[_Question] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._beside: list[Store] = []

    @property
    def clustered(self) -> bool:
        """Whether keys of different hash tags may lie on different servers."""
        return False

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Client]:
        """Lends the client, and bounds what happens inside. Raises Unavailable: it may or may not have been done."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                yield self.client
        except (RedisError, OSError, TimeoutError) as exc:
            raise _unavailable(exc) from exc

    async def ask(self, *commands: Command) -> list[Any]:
        """The replies to some commands, in order; an error that Redis replies is an item, not raised.

        Raises Unavailable: they may or may not have been done.
        """
        question = _Question(commands)
        self._questions.append(question)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all(), name="store.ask")
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await question.answer
        except TimeoutError as exc:
            raise _unavailable(exc) from exc

    async def _ask_all(self) -> None:
        """Owned by ``_asking``: sends batch after batch until nobody asks. Never raises."""
        try:
            while self._questions:
                batch = self._next_batch()
                try:
                    replies = await self._exchange(
                        [command for question in batch for command in question.commands]
                    )
                except (RedisError, OSError, TimeoutError) as exc:
                    for question in batch:
                        if not question.answer.done():
                            question.answer.set_exception(_unavailable(exc))
                    continue
                for question in batch:
                    answer = [replies.popleft() for _ in question.commands]
                    if not question.answer.done():
                        question.answer.set_result(answer)
        finally:
            self._asking = None

    def _fail(self, questions: Sequence[_Question], exc: Exception) -> None:
        for question in questions:
            if not question.answer.done():
                question.answer.set_exception(_unavailable(exc))

    def _next_batch(self) -> list[_Question]:
        batch: list[_Question] = []
        size_bytes = 0
        while self._questions and (not batch or size_bytes + self._questions[0].size_bytes <= _MAX_BATCH_BYTES):
            question = self._questions.popleft()
            if not question.answer.done():  # else its caller has given up: it is never sent
                size_bytes += question.size_bytes
                batch.append(question)
        return batch

    async def _exchange(self, commands: Sequence[Command]) -> deque[Any]:
        """One write and all its replies, on a connection of its own."""
        connection = self._connection or self.own_connection()
        self._connection = None  # until every reply is read: a half-read connection is no good to anybody
        replies: deque[Any] = deque()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                if not connection.is_connected:
                    await connection.connect()  # type: ignore[no-untyped-call]
                packed = [piece for command in commands for piece in _packed(connection, command)]
                await connection.send_packed_command(packed, check_health=False)
                for _ in commands:
                    try:
                        replies.append(await connection.read_response(timeout=math.inf))
                    except ResponseError as exc:
                        replies.append(exc)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        return replies

    def own_connection(self) -> Connection:
        """A new connection, not yet connected, that belongs to the caller."""
        connection: Connection = self.client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    async def forget_idle_connections(self) -> None:
        """Closes what is not in use: after a restart of Redis, each such connection would fail one more call."""
        for store in (*self._beside, self):
            connection, store._connection = store._connection, None
            if connection:
                await connection.disconnect(nowait=True)
        await self.client.connection_pool.disconnect(inuse_connections=False)

    def beside(self) -> Store:
        """Another queue of questions to the same Redis: what is slow there holds up nothing here. Ends with this."""
        store = Store(self.client, timeout_seconds=self._timeout_seconds)
        self._beside.append(store)
        return store

    async def close(self) -> None:
        """Ends all connections. Who still waits for an answer gets Unavailable."""
        for store in (*self._beside, self):
            if store._asking:
                await store._asking  # bounded by its time limit
            store._fail(list(store._questions), ConnectionError("closing"))
        await self.forget_idle_connections()
        await self.client.aclose()


def _packed(connection: Connection, command: Command) -> list[bytes]:
    """The command as Redis reads it. hiredis takes a sixth of redis-py's time, but copies what is large."""
    if len(command[-1] if isinstance(command[-1], bytes) else b"") > _MAX_COPIED_BYTES:
        return connection.pack_command(*command)
    return [hiredis.pack_command(tuple(command))]  # type: ignore[arg-type]  # its stub means tuples of any length


def _unavailable(exc: Exception) -> Unavailable:
    return Unavailable(f"Redis does not answer ({type(exc).__name__}); try again")


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
            # Each call is bounded here, by asyncio.timeout. redis-py's own limit is asyncio.wait_for, which on Python
            # 3.11 now and then loses a cancellation: a task that was told to end went on for ever.
            socket_timeout=None,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            **tcp,
        )
        pool.make_connection()  # type: ignore[no-untyped-call]  # connects nothing; meets unknown options
    except (ValueError, TypeError) as exc:
        # Without the text of exc: it may repeat the URL, and so the password.
        raise ConfigError([f"RELAY_REDIS_URL: an option of it is refused ({type(exc).__name__})"]) from None
    return Store(redis_asyncio.Redis.from_pool(pool), timeout_seconds=timeout_seconds)
