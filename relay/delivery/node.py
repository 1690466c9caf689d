"""This process's share of the mail: the bus's doorbells on one side, the hub's listeners on the other.

Tasks of one owner (:meth:`Node.run`): the reader takes doorbells from the link, the leveller makes the link's
subscriptions equal to what the hub wants, the prober asks whether the link still hears anything, the audit ends
listeners whose right has ended, the survey answers who is here. When one of them fails, all end, and after a pause a
new link begins: with all subscriptions, an audit of everybody, and what was missed meanwhile (catchup.py) first.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from relay.activity import Recorder
from relay.delivery.bus import Bus, Link
from relay.delivery.catchup import CatchUp
from relay.delivery.doorbells import Confirmed, Doorbell, Echo, LinkEvent, SurveyReply, SurveyRequest
from relay.delivery.hub import Hub, channels_of
from relay.delivery.letter import Letter, Listener
from relay.delivery.letterbox import Letterbox
from relay.delivery.positions import Positions, Verdict
from relay.delivery.readahead import Asked, ReadAhead
from relay.delivery.redis_clock import RedisClock
from relay.delivery.revalidation import Gate, Revalidator
from relay.delivery.subscriptions import Subscriptions
from relay.delivery.survey import Survey
from relay.errors import RelayError, Unavailable
from relay.letters.layout import Sealed
from relay.metrics import Metrics
from relay.store import keys
from relay.store.notices import Kind, Notice

log = structlog.get_logger()

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0  # posts succeed again before the link is back, and live mail waits for it
_DEAF = "the pub/sub link to Redis is deaf: what we publish does not come back"
_ECHO_SECONDS = 5.0  # a link over which nothing comes for so long after a probe is dead


class Recovery(Protocol):
    """Puts back what Redis must hold; it may have come back empty. Both raise Unavailable."""

    async def prepare(self) -> None:
        """Awaited before each link."""

    async def restore(self) -> bool:
        """Awaited with each probe. Whether something was put back, now or lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLimits:
    """What one process takes on, and when it looks after its link."""

    max_sockets_per_account: int
    turn_bytes: int  # after delivering so many, sockets get a turn to write; smaller than a socket's send buffer
    probe_seconds: float  # between two proofs that the link is not deaf


class Node:
    """Follows the bus for the listeners of this process."""

    def __init__(
        self,
        bus: Bus,
        letterbox: Letterbox,
        gate: Gate,
        metrics: Metrics,
        activity: Recorder,
        *,
        recovery: Recovery,
        limits: NodeLimits,
        on_connected: Callable[[], None],
    ) -> None:
        """``on_connected`` is called when :attr:`connected` has been set, changed or not."""
        self._recovery = recovery
        self._limits = limits
        self._on_connected = on_connected
        self._bus = bus
        self._letterbox = letterbox
        self._gate = gate
        self._metrics = metrics
        self._activity = activity
        self._subscriptions = Subscriptions()
        self.hub = Hub(
            max_sockets_per_account=limits.max_sockets_per_account, on_change=self._subscriptions.changed
        )
        self._revalidator = Revalidator(gate)
        self._positions = Positions()
        self._catch_up = CatchUp(
            letterbox, self.hub, self._positions, metrics, activity, turn_bytes=limits.turn_bytes
        )
        self._live = False  # doorbells are delivered; else they are noted, until all that was missed is read
        process = secrets.token_hex(8)
        self._probe_channel = keys.probe(process)
        self.survey = Survey(bus, self.hub, process=process)
        self._received = 0  # events of this link
        self._turn_bytes = 0  # delivered since sockets had a turn to write
        self._heard = asyncio.Event()  # the echo of the last probe
        self._redis_clock = RedisClock(letterbox, metrics)
        self.connected = False

    async def admit(self, listener: Listener, claimed_account: str | None) -> None:
        """After it returns, and until :meth:`leave`, the listener gets every mail for it that is published.

        Raises Refused when it may not, Unavailable when that cannot be found out, or followed, now.
        """
        # First watched, then asked: a right that ends after the answer finds the listener by its notice.
        self.hub.watch(listener)
        try:
            # Read before subscribing, so that a lost first doorbell is noticed.
            tops = await self._letterbox.tops(listener.addresses)
            now_ms = await self._letterbox.now_ms() if listener.domains else 0
            listener.account = await self._gate.admit(
                listener.key_hash, claimed_account, listener.addresses, listener.domains
            )
            self.hub.admit(listener)
            for inbox, top in tops.items():
                self._positions.begin(inbox, top.last if top else None)
            for domain in listener.domains:
                self._positions.begin_domain(domain, now_ms)
            await self._subscriptions.follow(channels_of(listener))
        except BaseException:
            self.leave(listener)
            raise

    def leave(self, listener: Listener) -> None:
        """Forgets the listener."""
        self._revalidator.forget(listener)
        self.hub.remove(listener)
        for inbox in listener.addresses:
            if not self.hub.wants(keys.inbox_channel(inbox)):
                self._positions.end(inbox, in_domain=self.hub.follows(inbox))
        for domain in listener.domains:
            if not self.hub.wants(keys.domain_channel(domain)):
                self._positions.end_domain(domain)

    def key_ended(self, key_hash: str) -> None:
        """The key with this hash has expired: its listeners are asked again, and end."""
        self._revalidator.recheck(self.hub.concerned(Notice(Kind.KEY, key_hash)))

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
                pause = _FIRST_PAUSE_SECONDS if self._live else min(pause * 2, _LONGEST_PAUSE_SECONDS)
                self._live = False
                self._set_connected(False)
                self._subscriptions.end()
            # Jitter: all nodes lost Redis in the same moment, and would all come back in the same moment.
            await asyncio.sleep(pause * random.SystemRandom().uniform(0.5, 1.5))

    async def _serve(self) -> None:
        """One link's life. Raises when it, or what is done over it, fails."""
        self._bus.doubted.clear()
        await self._recovery.prepare()
        self._catch_up.forget()
        link = await self._bus.link()
        try:
            async with asyncio.TaskGroup() as tasks:
                # Redis answers in order: when the last is confirmed, all are.
                own = [keys.CONTROL, keys.FORM, keys.SURVEY, self.survey.channel, self._probe_channel]
                await self._subscriptions.start(link, [*self.hub.channels(), *own])
                ahead = ReadAhead(self._fetch, tasks)
                tasks.create_task(ahead.work(self._handle), name="node.deliver")
                reading = tasks.create_task(self._read(link, ahead), name="node.read")
                await self._subscriptions.follow([self._probe_channel])
                self._revalidator.recheck(list(self.hub))
                tasks.create_task(self._revalidator.run(), name="node.audit")
                tasks.create_task(self.survey.run(), name="node.survey")
                tasks.create_task(self._subscriptions.level(link, self.hub.wants), name="node.level")
                recovered = await self._catch_up.run()
                self._live = True
                self._set_connected(True)
                log.info("bus.connected", recovered=recovered)
                tasks.create_task(self._probe(), name="node.probe")
                await reading
        finally:
            await link.close()

    def _set_connected(self, connected: bool) -> None:
        self.connected = connected
        self._metrics.connected.set(connected)
        self._on_connected()

    async def _probe(self) -> None:
        """Rings our own doorbell: a link that looks well may be half-open, or lead to a master that is none any more.

        As a rule every ``probe_seconds``, and at once when a publish has failed. Raises Unavailable: no echo.
        """
        while True:
            try:
                async with asyncio.timeout(self._limits.probe_seconds):
                    await self._bus.doubted.wait()
                self._set_connected(False)
            except TimeoutError:
                pass
            self._bus.doubted.clear()
            await self._recovery.restore()
            await self._bus.look_around()
            now_ms = await self._redis_clock.now_ms()
            self._heard.clear()
            await self._bus.ring(self._probe_channel, b"%d" % now_ms)
            await self._hear()
            self._positions.confirm_until(now_ms)
            self._set_connected(True)

    async def _hear(self) -> None:
        """Returns with the echo. While anything comes, the link works, and the echo is behind it."""
        while True:
            received = self._received
            try:
                async with asyncio.timeout(_ECHO_SECONDS):
                    await self._heard.wait()
            except TimeoutError:
                if received == self._received:
                    self._metrics.probes_failed.inc()
                    raise Unavailable(_DEAF) from None
            else:
                return

    async def _read(self, link: Link, ahead: ReadAhead) -> None:
        while True:
            event = await link.receive()
            self._received += 1
            if event is None:
                continue
            if isinstance(event, Doorbell) and event.token:
                event = replace(event, letter=self._bus.brought.take(event.token))
            wanted = isinstance(event, Doorbell) and self._wants(event)
            if ahead.idle and not wanted:
                await self._handle(event, None)  # at once: the way over the queue takes a turn of the loop
            else:
                await ahead.put(event, wanted=wanted)

    def _wants(self, doorbell: Doorbell) -> bool:
        """Whether its letter will have to be read, as far as is known now."""
        return (
            doorbell.letter is None
            and self._live
            and self.hub.follows(doorbell.inbox)
            and self._positions.classify(doorbell.inbox, doorbell.id) is not Verdict.REPEAT
        )

    async def _fetch(self, doorbell: Doorbell) -> Sealed | None:
        return await self._letterbox.fetch(doorbell.inbox, doorbell.id)

    async def _handle(self, event: LinkEvent, asked: Asked | None) -> None:
        if self._turn_bytes > self._limits.turn_bytes:
            # What Redis has sent is taken without waiting; a socket that cannot write meanwhile looks slow.
            self._turn_bytes = 0
            await asyncio.sleep(0)
        match event:
            case Doorbell() as doorbell if self._live:
                self._turn_bytes += await self._deliver(doorbell, asked)
            case Doorbell() as doorbell:
                self._catch_up.note(doorbell)
            case Confirmed(channel):
                self._subscriptions.confirmed(channel)
            case Notice() as notice:
                self._revalidator.recheck(self.hub.concerned(notice))
            case Echo():
                self._heard.set()
            case SurveyRequest() as question:
                self.survey.asked(question)
            case SurveyReply() as answer:
                self.survey.told(answer)

    async def _deliver(self, doorbell: Doorbell, asked: Asked | None) -> int:
        """Hands one message to the hub, and before it what is missing; the answer is its size in bytes."""
        if not self.hub.follows(doorbell.inbox):
            return 0
        verdict = self._positions.classify(doorbell.inbox, doorbell.id)
        if verdict is Verdict.REPEAT:  # the domain's bell after the inbox's, or what was caught up
            return 0
        # In line, not beside it: a smaller message behind a large one, or a gap, must not overtake it.
        sealed = doorbell.letter if verdict is Verdict.NEXT else None
        if sealed is None and verdict is Verdict.NEXT:
            sealed = await (asked or self._fetch(doorbell))
        if sealed is None:
            await self._catch_up.fill(doorbell.inbox, before=doorbell.id)
            return 0
        letter = Letter.of(doorbell.owner, doorbell.inbox, doorbell.id, sealed)
        await letter.prepare()
        self._positions.advance(doorbell.inbox, doorbell.id)
        handed = self.hub.deliver(letter)
        self._metrics.delivered.inc(handed.sockets)
        self._activity.delivered(letter.owner, letter.inbox, letter.id, *handed)
        return letter.size_bytes
