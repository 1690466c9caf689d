"""One Redis, or the master that Sentinels name, or one node of a cluster.

Two ways lead to Redis. :meth:`Store.call` lends a client, for what is rare. :meth:`Store.ask` and :meth:`Store.run`
are for what happens all the time, a mail and a handshake, and for every script: whatever is asked while the last batch
is under way goes out together in the next, so that thirty at once cost little more than one (a script call alone takes
34 microseconds of our time, one of a batch 13).
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
import structlog
from redis import RedisError, ResponseError
from redis.asyncio import Connection
from redis.exceptions import NoPermissionError, NoScriptError

from relay.errors import Unavailable
from relay.store import keys as names
from relay.store import lineage, trouble
from relay.store.script import Argument, Script, ScriptCall

log = structlog.get_logger()

Client = redis_asyncio.Redis
Command = Sequence[Argument]
_MAX_BATCH_BYTES = 1024 * 1024  # a larger mail goes alone; small ones behind it wait no longer than that takes
_MAX_COPIED_BYTES = 64 * 1024
_WRITTEN_SECONDS = 60
_WAIT_SHARE = 0.25  # of the time limit, for replicas to confirm; what is asked meanwhile waits for it as well


class _Question:
    """Commands of one caller, and the answer that it waits for."""

    __slots__ = ("answer", "commands", "durable", "size_bytes")

    def __init__(self, commands: Sequence[Command], *, durable: bool) -> None:
        self.commands = commands
        self.durable = durable
        # Where a letter is, if there is one, and where it is brought beside.
        self.size_bytes = sum(len(last) for command in commands if isinstance(last := command[-1], bytes))
        self.answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()


class _Logged:
    """The trouble that the log knows of; those beside each other have the same."""

    text = ""
    refuses_writes = ""  # the code of trouble.refusal


class Store:
    """A Redis client with the rules of this room."""

    clustered = False  # whether keys of different hash tags may lie on different servers

    def __init__(
        self,
        client: Client,
        *,
        timeout_seconds: float,
        where: str = "",
        wait_replicas: int = 0,
        notes_mark: bool = False,
    ) -> None:
        """``where`` is for the log. ``notes_mark``: each new connection writes the history mark, see lineage.py."""
        self.client = client
        self._timeout_seconds = timeout_seconds
        self._where = where
        self._logged = _Logged()
        self._notes_mark = notes_mark
        self._wait: Command | None = None
        if wait_replicas:
            self._wait = ("WAIT", wait_replicas, math.ceil(timeout_seconds * _WAIT_SHARE * 1000))
        self._questions: deque[_Question] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._beside: list[Store] = []

    @property
    def refuses_writes(self) -> str:
        """With which code Redis refused to write, as far as is known: OOM, MISCONF, …; "" = it did not."""
        return self._logged.refuses_writes

    async def try_write(self) -> None:
        """Sees whether Redis takes writes; :attr:`refuses_writes` tells. Raises Unavailable: it is away.

        On a cluster no node answers for the others: there each refusal counts until the next look.
        """
        if self.clustered:
            self._logged.refuses_writes = ""
            return
        try:
            await self.ask(("SET", names.WRITES, 1, "EX", _WRITTEN_SECONDS))
        except Unavailable:
            if not self._logged.refuses_writes:
                raise
        else:
            if self._logged.refuses_writes:
                log.info("redis.takes_writes", where=self._where)
            self._logged.refuses_writes = ""

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Client]:
        """Lends the client, and bounds what happens inside. Raises Unavailable: it may or may not have been done."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                yield self.client
        except (RedisError, OSError, TimeoutError) as exc:
            if isinstance(exc, ResponseError) and trouble.is_read_only(exc):
                await self.forget_idle_connections()  # they lead to the same server
            raise self._unavailable(exc) from exc

    async def run(
        self, script: Script, *, keys: Sequence[str], args: Sequence[Argument] = (), durable: bool = False
    ) -> Any:
        """The reply of one script: bytes, int, None or a list of these. As :meth:`ask` otherwise."""
        # Every mail comes here, so this is not ask() of script.call(): that takes two microseconds more of some twenty.
        rest = (len(keys), *keys, *args)
        [reply] = await self._answers((("EVALSHA", script.sha1, *rest),), durable=durable)
        if isinstance(reply, NoScriptError):
            [reply] = await self._answers((("EVAL", script.source, *rest),), durable=durable)
        if isinstance(reply, Exception):
            raise self._unavailable(reply) from reply
        return reply

    async def ask(self, *commands: Command, durable: bool = False) -> list[Any]:
        """The replies to some commands, in order; :meth:`Script.call` is one, too.

        ``durable``: the commands count only when RELAY_REDIS_WAIT_REPLICAS replicas have what they wrote.
        Raises Unavailable: they may or may not have been done; also when Redis replies an error to any of them.
        """
        replies = await self.ask_each(*commands, durable=durable)
        for reply in replies:
            if isinstance(reply, Exception):
                raise self._unavailable(reply) from reply
        return replies

    async def ask_each(self, *commands: Command, durable: bool = False) -> list[Any]:
        """As :meth:`ask`; an error that Redis replies to one of the commands is an item, not raised.

        A script that this Redis has not seen yet is asked for once more, with its source, after the other commands.
        """
        replies = await self._answers(commands, durable=durable)
        for at, reply in enumerate(replies):
            command = commands[at]
            if isinstance(reply, NoScriptError) and isinstance(command, ScriptCall):  # it was not run
                [replies[at]] = await self._answers([command.with_source()], durable=durable)
        return replies

    async def _answers(self, commands: Sequence[Command], *, durable: bool) -> list[Any]:
        """The replies, errors among them. Raises Unavailable."""
        question = _Question(commands, durable=durable)
        self._questions.append(question)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all(), name="store.ask")
        # asyncio.timeout would cost as much as all the rest of this.
        late = question.answer.get_loop().call_later(self._timeout_seconds, self._fail, [question], TimeoutError())
        try:
            return await question.answer
        finally:
            late.cancel()

    async def _ask_all(self) -> None:
        """Owned by ``_asking``: sends batch after batch until nobody asks. Never raises."""
        try:
            while self._questions:
                batch = self._next_batch()
                commands = [command for question in batch for command in question.commands]
                wait = self._wait if self._wait and any(question.durable for question in batch) else None
                try:
                    replies = await self._exchange([*commands, wait] if wait else commands)
                except (RedisError, OSError, TimeoutError) as exc:
                    self._fail(batch, exc)
                    continue
                if wait:
                    self._fail_unconfirmed(batch, wait, replies.pop())
                for question in batch:
                    answer = [replies.popleft() for _ in question.commands]
                    if not question.answer.done():
                        question.answer.set_result(answer)
        finally:
            self._asking = None

    def _fail(self, questions: Sequence[_Question], exc: Exception) -> None:
        for question in questions:
            if not question.answer.done():
                question.answer.set_exception(self._unavailable(exc))

    def _fail_unconfirmed(self, batch: Sequence[_Question], wait: Command, confirmed: Any) -> None:
        """``confirmed`` is the reply to ``wait``: a number of replicas, or an error."""
        wanted = int(wait[1])
        if isinstance(confirmed, int) and confirmed >= wanted:
            return
        for question in batch:
            if question.durable and not question.answer.done():
                question.answer.set_exception(
                    Unavailable(f"stored, but {wanted} replicas of Redis have not confirmed it; try again")
                )

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
        known, self._connection = self._connection, None  # until every reply is read: half-read it is no good
        if known and _has_ended(known):  # nothing was sent over it yet, so this repeats nothing
            await known.disconnect(nowait=True)
            known = None
        connection = known or self.own_connection()
        replies: deque[Any] = deque()
        demoted = False
        try:
            async with asyncio.timeout(self._timeout_seconds):
                if not known:
                    await self._begin(connection)
                packed = [piece for command in commands for piece in _packed(connection, command)]
                await connection.send_packed_command(packed, check_health=False)
                for _ in commands:
                    try:
                        replies.append(await connection.read_response(timeout=math.inf))
                    except ResponseError as exc:
                        replies.append(exc)
                        demoted = demoted or trouble.is_read_only(exc)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        if demoted:  # the next connection finds the new master
            await connection.disconnect(nowait=True)
        else:
            self._connection = connection
        return replies

    async def _begin(self, connection: Connection) -> None:
        """What comes before the first batch on a connection."""
        await connection.connect()  # type: ignore[no-untyped-call]
        if self._notes_mark:
            try:
                await lineage.note(connection)
            except NoPermissionError:
                self._notes_mark = False
                log.warning(
                    "redis.no_info", where=self._where, hint="allow INFO, GET, SET: docs/redis.md says why"
                )
        self._logged.text = ""

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

    def with_own_queue(self) -> Store:
        """Another queue of questions to the same Redis: what is slow there holds up nothing here. Ends with this."""
        store = Store(self.client, timeout_seconds=self._timeout_seconds, where=self._where)
        store._logged, store._wait = self._logged, self._wait
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

    def _unavailable(self, exc: Exception) -> Unavailable:
        """What callers are told; the log is told once where it is."""
        text = trouble.words(exc)
        self._logged.refuses_writes = trouble.refusal(exc) or self._logged.refuses_writes
        if text != self._logged.text:
            self._logged.text = text
            log.warning("redis.trouble", where=self._where, error=text, kind=type(exc).__name__)
        return Unavailable(text)


def _has_ended(connection: Connection) -> bool:
    """Whether the other side has closed it meanwhile, as a Redis with a `timeout` does to those who are quiet."""
    reader = getattr(connection, "_reader", None)
    return isinstance(reader, asyncio.StreamReader) and (reader.at_eof() or reader.exception() is not None)


def _packed(connection: Connection, command: Command) -> list[bytes]:
    """The command as Redis reads it. hiredis takes a sixth of redis-py's time, but copies what is large."""
    if len(command[-1] if isinstance(command[-1], bytes) else b"") > _MAX_COPIED_BYTES:
        return connection.pack_command(*command)
    return [hiredis.pack_command(tuple(command))]  # type: ignore[arg-type]  # its stub means tuples of any length
