"""This process's share of the mail: the bus's doorbells on one side, the hub's listeners on the other.

Three tasks, one owner (:meth:`Node.run`): the reader takes doorbells from the link, the leveller makes the
link's subscriptions equal to what the hub wants, the auditor ends listeners whose right has ended. When one of
them fails, all end, and after a pause a new link begins with all subscriptions and an audit of everybody:
notices may have been missed while there was no link.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Protocol

import structlog

from relay import keys
from relay.bus import Bus, Confirmed, Doorbell, Link
from relay.errors import Refused, RelayError, Unavailable
from relay.hub import Hub, Letter, Listener, channels_of
from relay.metrics import Metrics
from relay.notices import Notice

log = structlog.get_logger()

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_FOLLOW_SECONDS = 5.0  # a subscription that is not confirmed by then: the socket is refused, and may come back
_AUDIT_BATCH = 100


class Gate(Protocol):
    """Who may listen; accounts/gate.py is it."""

    async def admit(
        self, key_hash: str, claimed_account: str | None, addresses: Collection[str], domains: Collection[str]
    ) -> str:
        """The account whose key this is, if it may listen to all that. Raises Refused, Unavailable."""


class Node:
    """Follows the bus for the listeners of this process."""

    def __init__(
        self,
        bus: Bus,
        gate: Gate,
        metrics: Metrics,
        *,
        prepare: Callable[[], Awaitable[None]],
        max_sockets_per_account: int,
        turn_bytes: int,
    ) -> None:
        """``prepare`` is awaited before each link: what Redis must hold may be gone. It may raise Unavailable.

        ``turn_bytes``: after delivering so many, sockets get a turn to write; less than one may hold back.
        """
        self._prepare = prepare
        self._bus = bus
        self._gate = gate
        self._metrics = metrics
        self._turn_bytes = turn_bytes
        self.hub = Hub(max_sockets_per_account=max_sockets_per_account, on_change=self._channel_changed)
        self._changed: set[str] = set()  # channels whose subscription may differ from what the hub wants
        self._level_now = asyncio.Event()
        self._suspects: dict[Listener, None] = {}
        self._audit_now = asyncio.Event()
        self._subscribed: set[str] = set()  # channels of which SUBSCRIBE was the last command sent
        self._unconfirmed: dict[str, int] = {}  # channel -> SUBSCRIBEs sent and not yet confirmed
        self._followed: set[str] = set()  # channels whose every publish is seen from now on
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self.connected = False

    async def admit(self, listener: Listener, claimed_account: str | None) -> None:
        """After it returns, and until :meth:`leave`, the listener gets every mail for it that is published.

        Raises Refused when it may not, Unavailable when that cannot be found out, or followed, now.
        """
        # First watched, then asked: a right that ends after the answer finds the listener by its notice.
        self.hub.watch(listener)
        try:
            listener.account = await self._gate.admit(
                listener.key_hash, claimed_account, listener.addresses, listener.domains
            )
            self.hub.admit(listener)
            await self._follow(channels_of(listener))
        except BaseException:
            self.leave(listener)
            raise

    def leave(self, listener: Listener) -> None:
        """Forgets the listener."""
        self._suspects.pop(listener, None)
        self.hub.remove(listener)

    async def _follow(self, channels: Iterable[str]) -> None:
        """Returns when every later publish to the channels is seen."""
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

    def _channel_changed(self, channel: str) -> None:
        self._changed.add(channel)
        self._level_now.set()

    async def run(self) -> None:
        """Owns the link; never returns. Ends only when cancelled."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._serve()
            except* RelayError as group:
                log.warning("bus.lost", error=str(group.exceptions[0]))
            except* Exception:
                log.exception("bus.failed")
            finally:
                pause = _FIRST_PAUSE_SECONDS if self.connected else min(pause * 2, _LONGEST_PAUSE_SECONDS)
                self._disconnected()
            # Jitter: all nodes lost Redis in the same moment, and would all come back in the same moment.
            await asyncio.sleep(pause * random.SystemRandom().uniform(0.5, 1.5))

    async def _serve(self) -> None:
        """One link's life. Raises when it, or what is done over it, fails."""
        await self._prepare()
        link = await self._bus.link()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._changed.clear()
                # Redis answers in order: when the last is confirmed, all are, and this process is ready.
                await self._subscribe(link, [*self.hub.channels(), keys.CONTROL])
                tasks.create_task(self._read(link), name="node.read")
                tasks.create_task(self._level(link), name="node.level")
                tasks.create_task(self._audit(), name="node.audit")
        finally:
            await link.close()

    def _disconnected(self) -> None:
        self.connected = False
        self._metrics.connected.set(0)
        self._subscribed.clear()
        self._unconfirmed.clear()
        self._followed.clear()

    async def _level(self, link: Link) -> None:
        while True:
            await self._level_now.wait()
            self._level_now.clear()
            changed, self._changed = self._changed, set()
            wanted = {channel for channel in changed if self.hub.wants(channel)}
            if stop := (changed - wanted) & self._subscribed:
                self._subscribed -= stop
                self._followed -= stop
                await link.unsubscribe(stop)
            if start := wanted - self._subscribed:
                await self._subscribe(link, start)
                # Not the next before Redis has answered: what is wanted meanwhile goes out together. Nearly all that a
                # subscription costs is the system call that sends it. One that is never answered ends the link.
                await self._follow(start)

    async def _subscribe(self, link: Link, channels: Collection[str]) -> None:
        self._subscribed.update(channels)
        for channel in channels:
            self._unconfirmed[channel] = self._unconfirmed.get(channel, 0) + 1
        await link.subscribe(channels)

    async def _read(self, link: Link) -> None:
        delivered_bytes = 0
        while True:
            if delivered_bytes > self._turn_bytes:
                # What Redis has sent is taken without waiting; a socket that cannot write meanwhile looks slow.
                delivered_bytes = 0
                await asyncio.sleep(0)
            match await link.receive():
                case Doorbell() as doorbell:
                    delivered_bytes += await self._deliver(doorbell)
                case Confirmed(channel):
                    self._confirmed(channel)
                case Notice() as notice:
                    self._suspect(self.hub.concerned(notice))

    def _confirmed(self, channel: str) -> None:
        left = self._unconfirmed.get(channel, 1) - 1
        if left:
            # The answer to an older SUBSCRIBE: an UNSUBSCRIBE and a newer SUBSCRIBE are still on their way.
            self._unconfirmed[channel] = left
            return
        self._unconfirmed.pop(channel, None)
        if channel not in self._subscribed:
            return  # its last listener has left meanwhile
        self._followed.add(channel)
        if channel == keys.CONTROL:
            self._connected()
        for future in self._waiting.pop(channel, ()):
            if not future.done():
                future.set_result(None)

    def _connected(self) -> None:
        self.connected = True
        self._metrics.connected.set(1)
        log.info("bus.connected")
        self._suspect(list(self.hub))

    async def _deliver(self, doorbell: Doorbell) -> int:
        """Hands one message to the hub; the answer is its size in bytes."""
        frame = doorbell.frame
        if frame is None:
            # In line, not beside it: a smaller message behind this one must not overtake it.
            frame = await self._bus.fetch(doorbell.inbox, doorbell.entry)
        if frame is None:
            log.warning("letter.gone", inbox=doorbell.inbox, entry=doorbell.entry)
            return 0
        letter = Letter(doorbell.owner, doorbell.inbox, doorbell.entry, frame)
        self._metrics.delivered.inc(self.hub.deliver(doorbell.channel, letter))
        return len(frame)

    def _suspect(self, listeners: Collection[Listener]) -> None:
        self._suspects.update(dict.fromkeys(listeners))
        if listeners:
            self._audit_now.set()

    async def _audit(self) -> None:
        """Asks again whether the suspects may listen. Unavailable ends the link, and then everybody is asked."""
        while True:
            await self._audit_now.wait()
            self._audit_now.clear()
            while self._suspects:
                batch = [self._suspects.popitem()[0] for _ in range(min(_AUDIT_BATCH, len(self._suspects)))]
                await asyncio.gather(*map(self._ask_again, batch))

    async def _ask_again(self, listener: Listener) -> None:
        try:
            await self._gate.admit(
                listener.key_hash, listener.account or None, listener.addresses, listener.domains
            )
        except Refused as refused:
            listener.end(refused.close, refused.text)
