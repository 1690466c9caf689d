"""The channels of one link after another: which are wanted, which Redis was asked for, and which it has confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable

from relay.delivery.bus import Link
from relay.errors import Unavailable

_FOLLOW_SECONDS = 5.0  # a subscription that is not confirmed by then: the socket is refused, and may come back


class Subscriptions:
    """Makes what a link follows equal to what is wanted. It outlives the link: who waits is served by the next."""

    def __init__(self) -> None:
        self._changed: set[str] = set()  # channels of which that may differ from what the link does
        self._level_now = asyncio.Event()
        self._subscribed: set[str] = set()  # channels of which SUBSCRIBE was the last command sent
        self._unconfirmed: dict[str, int] = {}  # channel -> SUBSCRIBEs sent and not yet confirmed
        self._followed: set[str] = set()  # channels whose every publish is seen from now on
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def changed(self, channel: str) -> None:
        """Whether the channel is wanted has changed."""
        self._changed.add(channel)
        self._level_now.set()

    async def start(self, link: Link, channels: Collection[str]) -> None:
        """Begins with a new link: these are all that are wanted. Raises Unavailable."""
        self._changed.clear()
        await self._subscribe(link, channels)

    def end(self) -> None:
        """The link is gone."""
        self._subscribed.clear()
        self._unconfirmed.clear()
        self._followed.clear()

    async def follow(self, channels: Iterable[str]) -> None:
        """Returns when every later publish to the channels is seen. Raises Unavailable: not in time."""
        missing = [channel for channel in channels if channel not in self._followed]
        if not missing:
            return
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in missing]
        for channel, future in zip(missing, futures, strict=True):
            self._waiting.setdefault(channel, []).append(future)
        try:
            async with asyncio.timeout(_FOLLOW_SECONDS):
                for future in futures:  # none of them fails, and gather costs as much as all the rest
                    await future
        except TimeoutError:
            raise Unavailable("Redis did not confirm the subscription in time; come back") from None
        finally:
            for channel, future in zip(missing, futures, strict=True):
                self._stop_waiting(channel, future)

    def _stop_waiting(self, channel: str, future: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(channel)
        if waiting and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._waiting[channel]

    async def level(self, link: Link, wants: Callable[[str], bool]) -> None:
        """Never returns; ``wants`` says what is to be followed. Raises Unavailable: the link broke, or is silent."""
        while True:
            await self._level_now.wait()
            self._level_now.clear()
            changed, self._changed = self._changed, set()
            wanted = {channel for channel in changed if wants(channel)}
            if stop := (changed - wanted) & self._subscribed:
                self._subscribed -= stop
                self._followed -= stop
                await link.unsubscribe(stop)
            if start := wanted - self._subscribed:
                await self._subscribe(link, start)
                # Not the next before Redis has answered: what is wanted meanwhile goes out together. Nearly all that a
                # subscription costs is the system call that sends it. One that is never answered ends the link.
                await self.follow(start)

    async def _subscribe(self, link: Link, channels: Collection[str]) -> None:
        self._subscribed.update(channels)
        for channel in channels:
            self._unconfirmed[channel] = self._unconfirmed.get(channel, 0) + 1
        await link.subscribe(channels)

    def confirmed(self, channel: str) -> None:
        """Redis has confirmed a SUBSCRIBE."""
        left = self._unconfirmed.get(channel, 1) - 1
        if left:
            # The answer to an older SUBSCRIBE: an UNSUBSCRIBE and a newer SUBSCRIBE are still on their way.
            self._unconfirmed[channel] = left
            return
        self._unconfirmed.pop(channel, None)
        if channel not in self._subscribed:
            return  # its last listener has left meanwhile
        self._followed.add(channel)
        for future in self._waiting.pop(channel, ()):
            if not future.done():
                future.set_result(None)
