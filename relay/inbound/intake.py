"""What becomes of a post that is whole: proven, parsed, a letter for each recipient published, the rest parked.

The door brings posts here, ``relay parked retry`` those that were parked, and fetching.py the mails that were only
announced, and went into the queue of fetches.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar, cast

import orjson
import structlog

from relay import clock
from relay.activity import Recorder
from relay.confined import Broken, Confined
from relay.delivery.bus import (
    Bus,
    IdempotencyKey,
    Published,
    Unwanted,
)
from relay.errors import TooLarge
from relay.inbound.reading import Letter, Read, Reader, read_fetched, read_post, rejection
from relay.inbound.webhook.fetch_codec import encode as encode_fetch
from relay.inbound.webhook.provider import (
    Fetch,
    FetchingProvider,
    Post,
    Provider,
    Unreadable,
)
from relay.message import for_inbox
from relay.metrics import Metrics
from relay.queues import parked
from relay.queues.fetches import Fetches
from relay.queues.parked import Headers, Parked
from relay.work_bytes import WorkBytes

# Above this a body is worked on in a thread, so that no other request or socket waits for it: the Rust and C
# parts release the GIL. Below, handing over would cost more than the work.
_THREAD_BYTES = 128 * 1024
# Above this in a process of its own, with limits of memory and CPU: what is large may be made to be dear.
_CONFINED_BYTES = 1024 * 1024
# Messages published at once for one post: few enough to fit in memory, and to leave connections to Redis for
# other posts; with more, the last would use up their time limit waiting for one.
_BYTES_AT_ONCE = 4 * 1024 * 1024
_LETTERS_AT_ONCE = 32


@dataclass(slots=True)
class Report:
    """What became of each recipient of a post: the answer to the provider, the log line, the counters."""

    accepted: list[dict[str, str | bool]] = field(default_factory=list)
    rejected: list[dict[str, str]] = field(default_factory=list)
    parked: list[dict[str, str]] = field(default_factory=list)
    fetching: list[dict[str, str | bool]] = field(default_factory=list)

    def accept(self, inbox: str, published: Published) -> None:
        one: dict[str, str | bool] = {"inbox": inbox, "_id": published.message_id}
        self.accepted.append(one | {"duplicate": True} if published.repeated else one)

    def reject(self, inbox: str, reason: str) -> None:
        self.rejected.append(rejection(inbox, reason))

    def answer(self) -> bytes:
        """JSON; ``parked`` and ``fetching`` are there only when something was, or is."""
        answer: dict[str, object] = {"accepted": self.accepted, "rejected": self.rejected}
        if self.parked:
            answer["parked"] = self.parked
        if self.fetching:
            answer["fetching"] = self.fetching
        return orjson.dumps(answer)


@dataclass(frozen=True, slots=True)
class Observer:
    """Who is told what became of the posts."""

    metrics: Metrics
    activity: Recorder


class Intake:
    """The way of all posts, whatever their provider."""

    def __init__(
        self,
        bus: Bus,
        dead_letters: Parked,
        fetches: Fetches,
        observer: Observer,
        *,
        work: WorkBytes,
        confined: Confined,
        fetched_from: Collection[str],
        max_message_bytes: int,
    ) -> None:
        """``work`` has the room for the work on posts, ``confined`` the processes for large ones.

        ``fetched_from``: names of the providers whose API we have a key of.
        """
        self._bus = bus
        self._dead_letters = dead_letters
        self._fetches = fetches
        self._work = work
        self._activity = observer.activity
        self._confined = confined
        self._reader = Reader(frozenset(fetched_from), max_message_bytes)
        # labels() takes longer than inc(), and there are few: an outcome each.
        self._recipients = lru_cache(maxsize=256)(observer.metrics.recipients.labels)
        self._duplicates = observer.metrics.duplicates.labels
        self._parked = observer.metrics.parked.labels
        self._log = structlog.get_logger().bind()  # once: there is a line for each mail

    async def take(self, provider: Provider, post: Post, *, proven: bool = False) -> Report:
        """Takes one post in; ``proven``: its provider has been asked already. Raises RelayError: nothing, or not all,
        was taken, and another try of the same post does no harm."""
        entered_bytes = await self._work.enter(len(post.body))
        try:
            read = await self._read(provider, post, proven=proven)
            report = await self._publish_all(provider, read)
            # Last: when it fails the provider comes again, and the letters are known then.
            await self._announce(provider, read.fetches, report)
            for one in read.unreadable:
                await self._park(provider.name, post.received, parked.kept(post.headers.items()), one, report)
        finally:
            self._work.leave(entered_bytes)
        self._tell(provider, len(post.body), report)
        return report

    async def deliver(self, provider: FetchingProvider, fetch: Fetch, bodies: Sequence[bytes]) -> Fetch | Report:
        """Takes in a mail that was fetched; ``bodies`` are the answers to ``fetch``, and may name what to ask next.

        Raises RelayError, as :meth:`take`.
        """
        size_bytes = sum(map(len, bodies))
        entered_bytes = await self._work.enter(size_bytes)
        try:
            if size_bytes > _CONFINED_BYTES:
                arguments = (self._reader, _confinable(provider), fetch, bodies)
                read = await self._confined.run(size_bytes, read_fetched, *arguments)
            else:
                read = await asyncio.to_thread(read_fetched, self._reader, provider, fetch, bodies)
            if isinstance(read, Fetch):
                return read
            report = await self._publish_all(provider, read)
        finally:
            self._work.leave(entered_bytes)
        self._tell(provider, size_bytes, report)
        return report

    async def _read(self, provider: Provider, post: Post, *, proven: bool) -> Read:
        """What the post holds, where its size wants it to be read. Raises what ``verify`` does, and Unavailable."""
        if len(post.body) <= _THREAD_BYTES:
            return _read_proven(self._reader, provider, post, proven=proven)
        if len(post.body) <= _CONFINED_BYTES:
            return await asyncio.to_thread(_read_proven, self._reader, provider, post, proven=proven)
        if not proven:
            await asyncio.to_thread(provider.verify, post)
        try:
            arguments = (self._reader, _confinable(provider), post)
            return await self._confined.run(len(post.body), read_post, *arguments)
        except Broken as broken:  # for another try it would be as dear
            return Read(unreadable=[Unreadable(f"the mail cannot be read: {broken}", post.body)])

    async def _publish_all(self, provider: Provider, read: Read) -> Report:
        """Raises RelayError: what could not be read at all, or Unavailable."""
        report = Report(rejected=read.rejected)
        for rejected in report.rejected:  # before anything is published: what has no owner yet
            self._activity.refused("", rejected["inbox"], rejected["reason"])
        if read.error:
            raise read.error
        await self._publish(provider, read.letters, report)
        return report

    async def park(self, provider: str, fetch: Fetch | None, kept: bytes, reason: str) -> None:
        """Keeps for the operator what cannot be fetched, as it was posted; or ``kept``, when nobody can read it.

        Raises Unavailable.
        """
        received, headers = (fetch.received, fetch.headers) if fetch else (datetime.now(UTC), ())
        await self._park(provider, received, headers, Unreadable(reason, fetch.post if fetch else kept), Report())

    async def _publish(self, provider: Provider, letters: Sequence[Letter], report: Report) -> None:
        for batch in _batches(letters):
            at_ms = clock.now_ms()
            if len(batch) == 1:  # nearly always; a task for it would cost more than its encoding
                outcomes = [await self._publish_one(batch[0])]
            else:
                outcomes = await asyncio.gather(*map(self._publish_one, batch))
            for letter, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Published):
                    report.accept(letter.inbox, outcome)
                    self._note(letter, outcome, at_ms)
                    if outcome.repeated:
                        self._duplicates(provider.name).inc()
                else:
                    report.reject(letter.inbox, outcome.reason)
                    self._activity.refused(outcome.owner, letter.inbox, outcome.reason, author=letter.author)

    def _note(self, letter: Letter, published: Published, at_ms: int) -> None:
        self._activity.received(
            published.owner,
            letter.inbox,
            author=letter.author,
            size_bytes=letter.size_bytes,
            message_id=published.message_id,
            at_ms=at_ms,
            duplicate=published.repeated,
            heard=published.heard,
        )

    async def _publish_one(self, letter: Letter) -> Published | Unwanted:
        message = for_inbox(letter.encoded, letter.inbox, letter.original_inbox)
        event = IdempotencyKey(letter.event, letter.retry_seconds) if letter.event else None
        return await self._bus.publish(letter.inbox, message, event)

    async def _announce(self, provider: Provider, fetches: Sequence[Fetch], report: Report) -> None:
        for fetch in fetches:
            kept = encode_fetch(fetch)
            try:
                fetch_id, new = await self._fetches.add(
                    provider.name, fetch.event, kept, keep_seconds=fetch.retry_seconds
                )
            except TooLarge:
                if len(fetches) == 1:
                    raise
                report.reject("", "too large")
                continue
            report.fetching.append({"id": fetch_id} if new else {"id": fetch_id, "duplicate": True})

    async def _park(
        self, provider: str, received: datetime, headers: Headers, unreadable: Unreadable, report: Report
    ) -> None:
        post_id, displaced = await self._dead_letters.add(
            provider, received, unreadable.reason, headers, unreadable.body, once=unreadable.once
        )
        report.parked.append({"id": post_id, "reason": unreadable.reason})
        self._parked(provider).inc()
        self._activity.parked(provider, post_id, unreadable.reason)
        self._log.warning(
            "inbound.parked",
            provider=provider,
            id=post_id,
            size_bytes=len(unreadable.body),
            reason=unreadable.reason,
            displaced=displaced,
        )

    def _tell(self, provider: Provider, size_bytes: int, report: Report) -> None:
        if report.fetching:
            self._log.info(
                "inbound.announced", provider=provider.name, size_bytes=size_bytes, fetching=report.fetching
            )
        if (report.parked or report.fetching) and not report.accepted and not report.rejected:
            return
        self._log.info(
            "inbound.taken",
            provider=provider.name,
            size_bytes=size_bytes,
            accepted=report.accepted,
            rejected=report.rejected,
        )
        if report.accepted:
            self._recipients(provider.name, "accepted").inc(len(report.accepted))
        for one in report.rejected:
            self._recipients(provider.name, one["reason"]).inc()


def _read_proven(reader: Reader, provider: Provider, post: Post, *, proven: bool) -> Read:
    """May run in a thread. Raises what ``verify`` does."""
    if not proven:
        provider.verify(post)
    return read_post(reader, provider, post)


AnyProvider = TypeVar("AnyProvider", bound=Provider)


def _confinable(provider: AnyProvider) -> AnyProvider:
    """The provider without what reaches this process: a parser needs none of it."""
    dataclass_of_it = cast("Any", provider)  # as all providers are, but a Protocol cannot say so
    own = {one.name: one.default for one in fields(dataclass_of_it) if callable(getattr(provider, one.name))}
    return cast("AnyProvider", replace(dataclass_of_it, **own))


def _batches(letters: Sequence[Letter]) -> Iterator[Sequence[Letter]]:
    if len(letters) == 1:
        yield letters
        return
    fitting = _BYTES_AT_ONCE // max((len(letter.encoded.letter.stored) for letter in letters), default=1)
    at_once = min(max(fitting, 1), _LETTERS_AT_ONCE)
    for start in range(0, len(letters), at_once):
        yield letters[start : start + at_once]
