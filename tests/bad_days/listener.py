"""A client that records every frame, loses its connection when told to, and comes back with its cursors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.bad_days.record import Record
from tests.harness import ADDRESS, KEY


class Listener(Record):
    """``async with Listener(url) as listener``: open, and reading, from the start on."""

    def __init__(self, url: str, addresses: str = ADDRESS, *, key: str = KEY, deflate: bool = True) -> None:
        """``url`` is the service's, http://…; it may be changed before :meth:`resume`. ``deflate``: is offered."""
        super().__init__(addresses)
        self.url = url
        self.closes: list[int] = []  # codes of connections that ended otherwise than by drop
        self._key = key
        self._compression = "deflate" if deflate else None
        self._connection: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._dropping = False

    async def __aenter__(self) -> Self:
        await self.resume()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drop()

    async def resume(self) -> None:
        """Connects, with the cursors of all that it has, and reads."""
        assert self._reading is None or self._reading.done()
        self._connection = await self._connect()
        self._dropping = False
        self._reading = asyncio.create_task(self._read(self._connection), name="listener")

    async def _connect(self) -> ClientConnection:
        query = {"key": self._key, "addresses": ",".join(self.addresses)} | (
            {"since": self.since} if self.last else {}
        )
        url = f"{self.url.replace('http', 'ws', 1)}/incoming-messages?{urlencode(query, quote_via=quote)}"
        return await connect(url, proxy=None, max_size=None, compression=self._compression)

    @property
    def since(self) -> str:
        """The last ``_id`` of each inbox."""
        return ",".join(map(str, self.last.values()))

    async def drop(self) -> None:
        """Is gone at once, as when the network is: no close frame."""
        self._dropping = True
        if self._connection is not None:
            self._connection.transport.abort()
        if self._reading is not None:
            await self._reading

    def stall(self) -> None:
        """Reads nothing from now on."""
        assert self._connection is not None
        self._connection.transport.pause_reading()

    def read_on(self) -> None:
        """Ends :meth:`stall`."""
        assert self._connection is not None
        self._connection.transport.resume_reading()

    async def ended(self) -> None:
        """Waits until the connection has ended, and all that came over it has been read."""
        await self.until(lambda: False)

    async def has(self, token: str) -> None:
        """Waits for a mail; returns also when the connection has ended, for then it does not come."""
        await self.until(lambda: token in self.tokens())

    async def until(self, done: Callable[[], bool]) -> None:
        """Waits until something is so, or the connection has ended."""
        while not done() and self._reading is not None and not self._reading.done():
            self._news.clear()
            await self._news.wait()

    async def _read(self, connection: ClientConnection) -> None:
        try:
            async for text in connection:
                self.take(orjson.loads(text))
                self._news.set()
        except ConnectionClosed:
            pass
        finally:
            if not self._dropping:
                self.closes.append(connection.close_code or 0)
            self._news.set()
