"""A TCP proxy before Redis that can make the pub/sub link half-open: it stands, and nothing comes over it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.redis_server import HOST

_READ_BYTES = 256 * 1024
_SUBSCRIBE = b"$9\r\nSUBSCRIBE\r\n"  # as it stands in a command, https://redis.io/docs/latest/develop/reference/protocol-spec/


@dataclass(eq=False)
class _Connection:
    """One connection of a client, and ours to Redis behind it."""

    writers: list[asyncio.StreamWriter]
    subscribed: bool = False
    flowing: asyncio.Event = field(default_factory=asyncio.Event)


class Proxy:
    """``async with Proxy(port) as proxy: proxy.url``. Forwards to the Redis on that port of the loopback."""

    def __init__(self, redis_port: int, *, delay_seconds: float = 0) -> None:
        """``delay_seconds``: later than a client sends it, Redis gets a question."""
        self._redis_port = redis_port
        self._delay_seconds = delay_seconds
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut = b""
        self.was_cut = asyncio.Event()

    def cut_before(self, marker: bytes) -> None:
        """The next connection over which a client sends ``marker`` ends there: Redis gets what came before."""
        self._cut = marker

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, HOST, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Of the loopback."""
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """For RELAY_REDIS_URL."""
        return f"redis://{HOST}:{self.port}/0"

    def stall_pubsub(self) -> int:
        """Forwards nothing more, in either direction, on connections that sent SUBSCRIBE; to how many that happened.

        They stay open, and new ones are forwarded.
        """
        return self._stall([one for one in self._connections if one.subscribed])

    def stall(self) -> int:
        """The same for all connections that are open now."""
        return self._stall(list(self._connections))

    def _stall(self, connections: Iterable[_Connection]) -> int:
        stalled = [one for one in connections if one.flowing.is_set()]
        for connection in stalled:
            connection.flowing.clear()
        return len(stalled)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._join(reader, writer), name="proxy")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection([writer])
        connection.flowing.set()
        self._connections.add(connection)
        try:
            redis_reader, redis_writer = await asyncio.open_connection(HOST, self._redis_port)
            connection.writers.append(redis_writer)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._forward(connection, reader, redis_writer, from_client=True))
                tasks.create_task(self._forward(connection, redis_reader, writer, from_client=False))
        except* OSError:
            pass  # one side is gone; so the other goes
        finally:
            self._connections.discard(connection)
            for one in connection.writers:
                one.transport.abort()

    async def _forward(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        from_client: bool,
    ) -> None:
        """Raises ConnectionResetError at the end, so that the other direction ends too."""
        while data := await reader.read(_READ_BYTES):
            if from_client and self._cut and (at := data.find(self._cut)) >= 0:
                self._cut = b""
                writer.write(data[:at])
                await writer.drain()
                self.was_cut.set()
                raise ConnectionResetError
            # Bare links begin with it; a mail that quotes it comes in the middle of something else.
            connection.subscribed |= from_client and _SUBSCRIBE in data[:64]
            await connection.flowing.wait()
            if from_client and self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError
