"""uvicorn's server, waiting for events where uvicorn looks again ten times a second.

uvicorn sleeps a tenth of a second between two looks at whether it shall end, once more when it ends, and between two
looks at whether everybody has gone. Here the end begins when it is asked for, and is there when the last connection
has closed; and an idle process wakes up once a second, for the ``Date`` of its answers, instead of ten times.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import TypeVar

import structlog
import uvicorn

log = structlog.get_logger()

_Member = TypeVar("_Member")


class _Watched(set[_Member]):
    """A set of uvicorn's that sets an event when its last member has left."""

    def __init__(self, emptied: asyncio.Event) -> None:
        super().__init__()
        self._emptied = emptied

    def discard(self, member: object) -> None:
        super().discard(member)
        if not self:
            self._emptied.set()

    def remove(self, member: _Member) -> None:
        super().remove(member)
        if not self:
            self._emptied.set()


class Server(uvicorn.Server):
    """Takes requests until :meth:`end`. Without uvicorn's signal handling, which would raise the signal again."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.taking_requests = asyncio.Event()
        self._told_to_end = asyncio.Event()
        self._may_be_done = asyncio.Event()  # nobody is connected any more, say, or nobody is to be waited for
        self.server_state.connections = _Watched(self._may_be_done)
        self.server_state.tasks = _Watched(self._may_be_done)

    def end(self) -> None:
        """Takes no more connections; waits for the requests under way, ``timeout_graceful_shutdown`` at most."""
        self.should_exit = True
        self._told_to_end.set()

    def hurry(self) -> None:
        """Ends without waiting for anybody, also when it waits already."""
        self.force_exit = True
        self._may_be_done.set()
        self.end()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.taking_requests.set()

    async def main_loop(self) -> None:
        """Returns when told to end. Until then each second begins with uvicorn's tick, which sets ``Date``."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1 - time.time() % 1):
                    await self._told_to_end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, in the same order and with the same limit, but without its pauses."""
        for server in self.servers:
            server.close()
        for sock in sockets or ():
            sock.close()
        await asyncio.sleep(0)  # who was accepted a moment ago is a connection in the next turn of the loop
        for connection in tuple(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._done()
        except TimeoutError:
            log.error("service.requests_cut_off", requests=len(self.server_state.tasks))  # noqa: TRY400
            for task in self.server_state.tasks:
                task.cancel("the process ends")
        if not self.force_exit:
            await self.lifespan.shutdown()

    async def _done(self) -> None:
        """Returns when nobody is connected and no request is under way; at once when in a hurry."""
        state = self.server_state
        while (state.connections or state.tasks) and not self.force_exit:
            self._may_be_done.clear()
            await self._may_be_done.wait()
        for server in self.servers:
            await server.wait_closed()
