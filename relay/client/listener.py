"""Mail without end: connects, reads, resumes where it stood when it is cut off, and keeps where that is."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager, suppress
from types import TracebackType
from typing import Self

from relay.client.backoff import PROVEN_SECONDS, Backoff
from relay.client.connection import Connection, Way, open_connection
from relay.client.cursors import Cursors
from relay.client.errors import Lost, Unusable
from relay.client.frames import Confirmed, Gap, Mail, Message, Unknown
from relay.client.state import Keeper, StateFile
from relay.client.target import BadTarget, Target, parse

log = logging.getLogger("relay.client")

MAX_FRAME_BYTES = 64 * 1024 * 1024  # a mail of 25 MiB, the default limit, in JSON: raw, and once more as text
_MAX_URL_CHARS = 7000  # many proxies cut a request line at 8 KiB
_MAX_TOLD = 10_000  # gaps that are remembered, so that each is told once


def listen(
    url: str,
    *,
    key: str = "",
    addresses: str | Sequence[str] = (),
    account: str = "",
    since: str = "",
    state: str | os.PathLike[str] | None = None,
    on_gap: Callable[[Gap], object] | None = None,
    reconnect: bool = True,
    backoff: Backoff | None = None,
    ping_seconds: float = 20.0,
    max_frame_bytes: int = MAX_FRAME_BYTES,
) -> Listener:
    """All mail of some addresses, as it arrives, without end: ``async for message in listen(...)``.

    Within ``async with listen(...) as messages:`` it listens when the body begins: what is posted then arrives.

    ``url``: base URL of the service (``https://relay.example.com``, ``ws://127.0.0.1:8000``) or the whole one of a
    socket; what is given beside it wins. ``key``: API key; it travels in a header. ``addresses``: addresses, and
    domains of one's own, as a list or with commas between. ``account``: account id; the key's, so it may be left out.

    ``since``: where to begin the first time, as the server takes it: ``10m``, an RFC 3339 time, ``_id``s; "" = with
    what comes from now on. ``state``: a file in which the listener keeps where it stands, and begins there the next
    time. A message counts as taken when the next one is asked for, or the ``async with`` ends without an error; one
    that was not comes again, with the same ``_id``. So messages come at least once; within a run each comes once.

    ``on_gap`` is called, in its place among the messages, with what cannot be had any more; None: a warning of the
    logger ``relay.client``, which also tells of connections, at INFO.

    ``reconnect``: False raises Lost instead of connecting again. ``backoff``: how long to wait then.
    ``ping_seconds``: a server that answers nothing for at most twice as long is taken for dead.
    ``max_frame_bytes``: of one message; a larger one raises Unusable.

    Who handles messages slowly holds up nobody else: the server keeps them, cuts the socket off and is asked again.

    Raises BadTarget (a ValueError) for a URL, key or addresses that cannot be; while it listens NotWanted, Unusable,
    BadState, and Lost.
    """
    target = parse(url, account=account, addresses=[addresses] if isinstance(addresses, str) else addresses)
    proof = key or target.key
    if not (proof and proof.isascii() and proof.isprintable()):
        raise BadTarget("the key is missing, or has characters other than visible ASCII")
    way = Way(target.url, proof, ping_seconds, max_frame_bytes)
    return Listener(
        target, way, since or target.since, state, on_gap, reconnect=reconnect, backoff=backoff or Backoff()
    )


class _CutShort(Exception):
    """The server has replayed as much as it does at once, and has more."""


class Listener(AsyncIterator[Message]):
    """What :func:`listen` returns: an asynchronous iterator, and context manager, of messages."""

    def __init__(
        self,
        target: Target,
        way: Way,
        since: str,
        state: str | os.PathLike[str] | None,
        on_gap: Callable[[Gap], object] | None,
        *,
        reconnect: bool,
        backoff: Backoff,
    ) -> None:
        """Does nothing yet. See :func:`listen`."""
        self._target = target
        self._way = way
        self._since = since
        self._state = state
        self._on_gap = on_gap
        self._reconnect = reconnect
        self._backoff = backoff
        self._tried_from = time.monotonic()
        self._confirmed = False  # a server has said once that it listens
        self._open_since: float | None = None  # monotonic, of the connection; None = it is not confirmed
        self._cursors = Cursors(since)
        self._keeper = Keeper(None, self._cursors)
        self._handed_out: Mail | None = None  # the consumer has it, and did not ask for another
        self._told: dict[str | None, Gap] = {}  # by inbox: the gap told last
        self._mail = self._run()

    async def __anext__(self) -> Message:
        """The next message. To cancel it ends the listener."""
        self._settle()
        while (message := await anext(self._mail)) is None:
            pass
        return message

    async def __aenter__(self) -> Self:
        """Returns when the server has confirmed that it listens."""
        if not self._confirmed:
            await anext(self._mail)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._settle()
        await self.aclose()

    async def aclose(self) -> None:
        """Ends it. The last message does not count as taken: its consumer may have failed."""
        await self._mail.aclose()

    def _settle(self) -> None:
        """What was handed out is taken."""
        mail, self._handed_out = self._handed_out, None
        if mail and mail.id:
            self._cursors.take(mail.id, str(mail.message.get("inbox", "")))
            self._keeper.changed()

    async def _run(self) -> AsyncGenerator[Message | None, None]:
        """Messages; None when a connection is confirmed."""
        with self._kept():
            while True:
                try:
                    async with (
                        open_connection(self._way, self._where()) as connection,
                        aclosing(self._read(connection)) as items,
                    ):
                        async for item in items:
                            yield item
                except _CutShort:
                    continue
                except (Lost, Unusable) as error:
                    await self._wait_after(error)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """The state file is ours, and holds where we stand in the end."""
        if self._state is None:
            yield
            return
        with closing(StateFile(self._state)) as file:
            self._cursors = file.cursors(self._since, self._target.listened())
            self._keeper = Keeper(file, self._cursors)
            try:
                yield
            finally:
                self._keeper.write_now()

    def _where(self) -> str:
        room = _MAX_URL_CHARS - len(self._way.url)
        return self._cursors.since(max_chars=room, tried_seconds=time.monotonic() - self._tried_from)

    async def _read(self, connection: Connection) -> AsyncGenerator[Message | None, None]:
        """One connection's messages. Raises Lost, NotWanted, Unusable, and _CutShort: connect again at once."""
        confirmed = fresh = False
        reached_ms = 0
        while True:
            frame = await self._receive(connection)
            if not confirmed and isinstance(frame, (Confirmed, Mail)):
                confirmed = True
                await self._confirm(connection, frame)
                yield None
            if isinstance(frame, Mail):
                self._backoff.proven()
                reached_ms = frame.id.ms if frame.id else reached_ms
                if not (frame.id and self._cursors.has(frame.id)):
                    fresh = True
                    self._handed_out = frame
                    yield frame.message
            elif isinstance(frame, Gap):
                # Behind messages, such a gap says that more of them are kept than are replayed at once. A real one
                # comes again when we are back, before any message. What is live behind it would move the cursor.
                cut_short = frame.reason == "trimmed" and frame.next is None
                if cut_short and (self._cursors.cut_short(reached_ms) or fresh):
                    raise _CutShort
                self._tell(frame)
            elif isinstance(frame, Unknown):
                log.info("the server says: %s", frame.text)

    async def _receive(self, connection: Connection) -> Mail | Gap | Confirmed | Unknown:
        """The next frame; meanwhile the cursors are written when they are due."""
        while True:
            due_seconds = self._keeper.due_seconds
            if due_seconds == 0.0:
                await self._keeper.write()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(due_seconds):
                    return await connection.receive()

    async def _confirm(self, connection: Connection, frame: Confirmed | Mail) -> None:
        self._confirmed = True
        self._open_since = time.monotonic()
        self._cursors.began(connection.opened_ms, tried_seconds=self._open_since - self._tried_from)
        self._keeper.changed()
        await self._keeper.write()  # who dies before the first message misses none either
        what = f"; listening to {frame}" if isinstance(frame, Confirmed) else ""
        log.info("connected to %s%s", self._way.short, what)

    def _tell(self, gap: Gap) -> None:
        """Once: a server says the same at every connection until the inbox gets a message."""
        name = gap.inbox or gap.after
        if self._told.get(name) == gap:
            return
        self._told[name] = gap
        if len(self._told) > _MAX_TOLD:
            del self._told[next(iter(self._told))]
        if gap.inbox is None and gap.after:
            self._cursors.forget(gap.after)
            self._keeper.changed()
        if self._on_gap:
            self._on_gap(gap)
        else:
            log.warning("%s", gap)

    async def _wait_after(self, error: Lost | Unusable) -> None:
        """Returns when it is time to connect again. Raises the error when that makes no sense, or is not wanted."""
        passing = isinstance(error, Lost) or (error.passing and self._confirmed)
        if not (passing and self._reconnect):
            raise error
        open_since, self._open_since = self._open_since, None
        if open_since is not None and time.monotonic() - open_since >= PROVEN_SECONDS:
            self._backoff.proven()
        seconds = self._backoff.next_seconds(error if isinstance(error, Lost) else Lost(str(error)))
        log.info("%s; connecting again in %.1f s", error, seconds)
        await self._keeper.write()
        await self._backoff.sleep(seconds)
