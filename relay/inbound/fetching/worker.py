"""The task that fetches what posts only announced: takes from the queue in Redis, asks the provider's API, delivers.

What fails for now goes back into the queue, later each time. What cannot be had at all, or not within the provider's
time, is parked for the operator. A mail leaves the queue only after it is delivered or parked, so none is lost with a
process.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

import structlog

from relay.errors import RelayError, Unavailable
from relay.inbound.fetching.request import (
    Asker,
    Expired,
    KeyRefused,
    Never,
    NotNow,
)
from relay.inbound.intake import Intake
from relay.inbound.webhook.fetch_codec import decode, encode
from relay.inbound.webhook.provider import Fetch, FetchingProvider
from relay.metrics import Metrics
from relay.queues.fetches import Fetches, Lease
from relay.work_bytes import WorkBytes

log = structlog.get_logger()

_AT_ONCE = 4  # mails: each may be in memory twice, as answers and as a mail
_POLL_SECONDS = 3.0  # what other processes added, or left behind when they were killed
_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 900.0
_KEY_PAUSE_SECONDS = 300.0  # an operator is not faster
_MAX_STEPS = 4  # no provider needs more than two


class _Lost(Exception):
    """Our time is over, and another process has the mail."""


class _Answers:
    """The bytes of the answers to one mail's fetches, as they are counted."""

    def __init__(self, work: WorkBytes) -> None:
        self._work = work
        self._size_bytes = 0

    def reserve(self, size_bytes: int) -> None:
        """Raises Unavailable: there is no room for them now."""
        self._work.reserve(size_bytes)
        self._size_bytes += size_bytes

    def release(self) -> None:
        """All of them are gone."""
        self._work.release(self._size_bytes)
        self._size_bytes = 0


class FetchWorker:
    """Fetches in this process. ``run`` has an owner."""

    def __init__(
        self,
        fetches: Fetches,
        intake: Intake,
        metrics: Metrics,
        work: WorkBytes,
        *,
        providers: Mapping[str, FetchingProvider],
        api_keys: Mapping[str, str],
        max_message_bytes: int,
    ) -> None:
        """``work`` counts the answers. ``providers``, ``api_keys``: by name; mail of a provider without a key waits."""
        self._fetches = fetches
        self._intake = intake
        self._counted = work
        self._outcomes = metrics.fetches.labels
        self._waiting = metrics.fetches_waiting
        self._providers = providers
        self._api_keys = api_keys
        self._max_message_bytes = max_message_bytes
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._held: dict[str, Lease] = {}  # by token: a late one may be ours again
        self._told: dict[str, float] = {}  # when the log was told of a provider's key, by the loop's clock

    async def run(self) -> None:
        """Fetches until it is cancelled; what is under way then goes back into the queue."""
        asker = Asker()
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await self._free.acquire()
                    lease = await self._next()
                    self._held[lease.token] = lease
                    tasks.create_task(self._work(asker, lease), name="fetching")
        finally:
            await asker.close()
            await self._give_back()

    async def _next(self) -> Lease:
        """Waits for one that is due: ours, or found by asking now and then."""
        while True:
            self._fetches.changed.clear()
            try:
                found = await self._fetches.take()
                self._waiting.set(self._fetches.waiting)
            except Unavailable:  # the store has told the log
                found = _POLL_SECONDS
            if isinstance(found, Lease):
                return found
            try:
                async with asyncio.timeout(min(found, _POLL_SECONDS)):
                    await self._fetches.changed.wait()
            except TimeoutError:
                pass

    async def _give_back(self) -> None:
        try:
            for lease in self._held.values():
                await self._fetches.put_back(lease, seconds=0)
        except Unavailable:
            return  # each is taken up when its time is over

    async def _work(self, asker: Asker, lease: Lease) -> None:
        """Never raises but when cancelled: a mail that breaks us must not keep the others."""
        try:
            await self._settle(asker, lease)
        except _Lost:
            log.warning("fetching.lost", provider=lease.provider, id=lease.id)
        except RelayError as error:  # taken up again when its time is over
            log.warning("fetching.held", provider=lease.provider, id=lease.id, error=str(error))
        del self._held[lease.token]
        self._free.release()

    async def _settle(self, asker: Asker, lease: Lease) -> None:
        """Raises _Lost, or Unavailable: Redis is away."""
        try:
            await self._deliver(asker, lease)
        except NotNow as trouble:
            await self._later(lease, trouble)
        except Unavailable as error:
            await self._later(lease, NotNow(str(error)))
        except (Never, RelayError) as error:
            await self._park(lease, str(error))
        except _Lost:
            raise
        except Exception as error:
            log.exception("fetching.failed", provider=lease.provider, id=lease.id)
            await self._later(lease, NotNow(f"relay failed ({type(error).__name__})"))
        else:
            await self._fetches.finish(lease)
            self._outcomes(lease.provider, "delivered").inc()

    async def _deliver(self, asker: Asker, lease: Lease) -> None:
        if (provider := self._providers.get(lease.provider)) is None:
            raise Never(f"there is no provider {lease.provider} that fetches")
        answers = _Answers(self._counted)
        try:
            await self._fetch(asker, provider, lease, decode(lease.step or lease.first), answers)
        finally:
            answers.release()

    async def _fetch(
        self, asker: Asker, provider: FetchingProvider, lease: Lease, fetch: Fetch, answers: _Answers
    ) -> None:
        """Asks what there is to ask, one step after the other, until a mail is delivered."""
        for _ in range(_MAX_STEPS):
            headers = {"accept": fetch.accept} | self._key(provider, fetch)
            left_bytes = provider.answers_limit(self._max_message_bytes)
            bodies: list[bytes] = []
            for url in fetch.urls:
                if not provider.may_fetch(url):
                    raise Never("a URL is not at a host of the provider: it is not asked")
                if not await self._fetches.hold(lease):
                    raise _Lost
                body = await asker.get(
                    url, headers, with_key=fetch.with_key, limit_bytes=left_bytes, reserve=answers.reserve
                )
                bodies.append(body)
                left_bytes -= len(bodies[-1])
            found = await self._intake.deliver(provider, fetch, bodies)
            if not isinstance(found, Fetch):
                return
            if not await self._fetches.hold(lease, encode(found)):
                raise _Lost
            fetch = found
        raise Never("the provider's API names one URL after the other, and no mail")

    def _key(self, provider: FetchingProvider, fetch: Fetch) -> dict[str, str]:
        if not fetch.with_key:
            return {}
        if not (api_key := self._api_keys.get(provider.name)):
            raise KeyRefused("this process has no API key")
        return dict([provider.key_header(api_key)])

    async def _later(self, lease: Lease, trouble: NotNow) -> None:
        if lease.overdue:
            await self._park(lease, f"given up at try {lease.tries}: {trouble}")
            return
        refused = isinstance(trouble, KeyRefused)
        seconds = _KEY_PAUSE_SECONDS * _jitter() if refused else max(_pause_seconds(lease.tries), trouble.seconds)
        await self._fetches.put_back(lease, seconds=seconds, step=b"" if isinstance(trouble, Expired) else None)
        self._outcomes(lease.provider, "key refused" if refused else "later").inc()
        if refused:
            self._tell_of_key(lease.provider, str(trouble))
        else:
            told = {"provider": lease.provider, "id": lease.id, "tries": lease.tries, "seconds": round(seconds, 1)}
            log.warning("fetching.later", reason=str(trouble), **told)

    def _tell_of_key(self, provider: str, reason: str) -> None:
        """Once a pause, however many mails wait for the key."""
        now = asyncio.get_running_loop().time()
        if now < self._told.get(provider, 0.0):
            return
        self._told[provider] = now + _KEY_PAUSE_SECONDS
        setting = f"RELAY_{provider.upper()}_API_KEY"
        hint = f"mail waits in Redis: set {setting} to a key that may read inbound mail, and restart"
        log.error("fetching.key_refused", provider=provider, reason=reason, hint=hint)

    async def _park(self, lease: Lease, reason: str) -> None:
        try:
            first = decode(lease.first)
        except RelayError:  # kept as it is: nothing is lost
            first = None
        await self._intake.park(lease.provider, first, lease.first, reason)
        await self._fetches.finish(lease)
        self._outcomes(lease.provider, "parked").inc()


def _pause_seconds(tries: int) -> float:
    return min(_FIRST_PAUSE_SECONDS * 2.0 ** min(tries - 1, 20), _LONGEST_PAUSE_SECONDS) * _jitter()


def _jitter() -> float:
    return random.SystemRandom().uniform(0.75, 1.25)
