"""A client that records every frame, loses its connection when told to, and comes back with its cursors."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from relay.address import domain_of
from relay.keys import inbox_tag
from relay.message_id import MessageId
from tests.harness import ADDRESS, KEY

_LITTLE_BYTES = 128 * 1024  # less than a few packets of the loopback (64 KiB each) would crawl


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it arrived."""

    id: MessageId
    inbox: str
    token: str  # of the mail, see posting.py
    arrived_seconds: float  # time.monotonic()


@dataclass(frozen=True, slots=True)
class ToldGap:
    """A gap frame. ``next`` is filled in with the next message when the frame had none."""

    inbox: str | None
    after: MessageId | None
    next: MessageId | None
    reason: str

    def covers(self, missing: MessageId) -> bool:
        """Whether who was told this knows that the message may be missing."""
        if missing.tag not in self._tags():
            return False
        return not (self.after and _reaches(self.after, missing)) and not (self.next and _reaches(missing, self.next))

    def _tags(self) -> set[str]:
        if self.inbox is not None:
            return {inbox_tag(self.inbox)}
        return {end.tag for end in (self.after, self.next) if end}


class Listener:
    """``async with Listener(url) as listener``: open, and reading, from the start on."""

    def __init__(self, url: str, addresses: str = ADDRESS, *, key: str = KEY, deflate: bool = True) -> None:
        """``url`` is the service's, http://…; it may be changed before :meth:`resume`. ``deflate``: is offered."""
        self.url = url
        self.frames: list[Frame] = []
        self.gaps: list[ToldGap] = []
        self.told: list[dict[str, Any]] = []  # refusals
        self.closes: list[int] = []  # codes of connections that ended otherwise than by drop
        self.disordered: list[MessageId] = []
        self._addresses = addresses
        self._key = key
        self._compression = "deflate" if deflate else None
        self._tokens: Counter[str] = Counter()
        self._last: dict[str, MessageId] = {}  # by inbox
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
        query = {"key": self._key, "addresses": self._addresses} | ({"since": self.since} if self._last else {})
        url = f"{self.url.replace('http', 'ws', 1)}/incoming-messages?{urlencode(query, quote_via=quote)}"
        return await connect(url, proxy=None, max_size=None, compression=self._compression)

    @property
    def since(self) -> str:
        """The last ``_id`` of each inbox."""
        return ",".join(map(str, self._last.values()))

    async def drop(self) -> None:
        """Is gone at once, as when the network is: no close frame."""
        self._dropping = True
        if self._connection is not None:
            self._connection.transport.abort()
        if self._reading is not None:
            await self._reading

    def stall(self) -> None:
        """Reads nothing from now on, and has little room for what comes."""
        assert self._connection is not None
        transport = self._connection.transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LITTLE_BYTES)
        transport.pause_reading()

    def read_on(self) -> None:
        """Ends :meth:`stall`."""
        assert self._connection is not None
        self._connection.transport.resume_reading()

    async def ended(self) -> None:
        """Waits until the connection has ended, and all that came over it has been read."""
        await self.until(lambda: False)

    async def has(self, token: str) -> None:
        """Waits for a mail; returns also when the connection has ended, for then it does not come."""
        await self.until(lambda: token in self._tokens)

    async def until(self, done: Callable[[], bool]) -> None:
        """Waits until something is so, or the connection has ended."""
        while not done() and self._reading is not None and not self._reading.done():
            self._news.clear()
            await self._news.wait()

    def tokens(self) -> Counter[str]:
        """How often each mail came."""
        return self._tokens

    def wants(self, inbox: str) -> bool:
        """Whether mail for the inbox should come."""
        addresses: Collection[str] = self._addresses.split(",")
        return inbox in addresses or domain_of(inbox) in addresses

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

    def take(self, frame: dict[str, Any]) -> None:
        """Records one frame."""
        if "_id" in frame:
            self._take_message(frame)
        elif frame["status"] == 206:
            self.gaps.append(ToldGap(frame["inbox"], _id(frame["after"]), _id(frame["next"]), frame["reason"]))
        else:
            self.told.append(frame)

    def _take_message(self, frame: dict[str, Any]) -> None:
        told = Frame(MessageId.parse(frame["_id"]), frame["inbox"], frame["subject"], time.monotonic())
        last = self._last.get(told.inbox)
        if last and told.id.repeats(last) and told.token not in self._tokens:
            self.disordered.append(told.id)
        self._last[told.inbox] = told.id
        self._tokens[told.token] += 1
        self.frames.append(told)
        self.gaps = [
            replace(gap, next=told.id) if gap.next is None and gap.inbox in (told.inbox, None) else gap
            for gap in self.gaps
        ]


def _reaches(message: MessageId, earlier: MessageId) -> bool:
    """Whether ``message`` is ``earlier``, or came after it; between two histories the clock decides."""
    if message.history != earlier.history:
        return message.ms > earlier.ms
    return earlier.repeats(message)


def _id(text: str | None) -> MessageId | None:
    return MessageId.parse(text) if text else None
