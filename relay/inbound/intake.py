"""What becomes of a post that is whole: proven, parsed, a letter for each recipient published, the rest parked.

The door brings posts here, ``relay parked retry`` those that were parked, and fetching.py the mails that were only
announced, and went into the queue of fetches.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

import orjson
import structlog

from relay import clock
from relay.activity import Recorder
from relay.address import BadAddress, canonical_address
from relay.delivery.bus import (
    Bus,
    IdempotencyKey,
    Published,
    Unwanted,
)
from relay.errors import BadRequest, RelayError, TooLarge, UnsupportedMediaType
from relay.inbound.webhook.fetch_codec import encode as encode_fetch
from relay.inbound.webhook.provider import (
    Delivery,
    Fetch,
    Post,
    Provider,
    Unreadable,
    WrongWebhook,
)
from relay.message import Encoded, Message, encode, for_inbox
from relay.metrics import Metrics
from relay.queues import parked
from relay.queues.fetches import Fetches
from relay.queues.parked import Headers, Parked
from relay.work_bytes import WorkBytes

# A recipient list longer than this is a mistake or an attack; RFC 5321 section 4.5.3.1.8 asks for 100.
MAX_RECIPIENTS = 1000
_NAMED_RECIPIENTS = 10  # of a mail that is refused as a whole, to tell their accounts
# Above this a body is worked on in a thread, so that no other request or socket waits for it: the Rust and C
# parts release the GIL. Below, handing over would cost more than the work.
_THREAD_BYTES = 128 * 1024
# Messages published at once for one post: few enough to fit in memory, and to leave connections to Redis for
# other posts; with more, the last would use up their time limit waiting for one.
_BYTES_AT_ONCE = 4 * 1024 * 1024
_LETTERS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class _Letter:
    """A mail for one recipient; the mail itself is encoded once for all."""

    inbox: str
    original_inbox: str
    encoded: Encoded
    event: IdempotencyKey | None
    size_bytes: int  # of the mail as it came
    author: str  # first address of From; "" = none


@dataclass(slots=True)
class _Read:
    """What a post holds."""

    letters: list[_Letter] = field(default_factory=list)
    fetches: list[Fetch] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


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
        self.rejected.append({"inbox": inbox[:320], "reason": reason})

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
        work: WorkBytes,
        *,
        fetched_from: Collection[str],
        max_message_bytes: int,
    ) -> None:
        """``work`` has the room for the work on posts.

        ``fetched_from``: names of the providers whose API we have a key of.
        """
        self._bus = bus
        self._dead_letters = dead_letters
        self._fetches = fetches
        self._work = work
        self._activity = observer.activity
        self._fetched_from = frozenset(fetched_from)
        # labels() takes longer than inc(), and there are few: an outcome each.
        self._recipients = lru_cache(maxsize=256)(observer.metrics.recipients.labels)
        self._duplicates = observer.metrics.duplicates.labels
        self._parked = observer.metrics.parked.labels
        self._max_message_bytes = max_message_bytes
        self._log = structlog.get_logger().bind()  # once: there is a line for each mail

    async def take(self, provider: Provider, post: Post, *, proven: bool = False) -> Report:
        """Takes one post in; ``proven``: its provider has been asked already. Raises RelayError: nothing, or not all,
        was taken, and another try of the same post does no harm."""
        entered_bytes = await self._work.enter(len(post.body))
        try:
            return await self._take(provider, post, proven=proven)
        finally:
            self._work.leave(entered_bytes)

    async def _take(self, provider: Provider, post: Post, *, proven: bool) -> Report:
        report = Report()
        try:
            if len(post.body) > _THREAD_BYTES:
                read = await asyncio.to_thread(self._read, provider, post, report, proven)
            else:
                read = self._read(provider, post, report, proven)
        finally:
            self._note_rejected(report)
        await self._publish(provider, read.letters, report)
        # Last: when it fails the provider comes again, and the letters are known then.
        await self._announce(provider, read.fetches, report)
        for one in read.unreadable:
            await self._park(provider.name, post.received, parked.kept(post.headers.items()), one, report)
        self._tell(provider, len(post.body), report)
        return report

    async def deliver(self, provider: Provider, delivery: Delivery) -> Report:
        """Takes in a mail that was fetched. Raises RelayError, as :meth:`take`."""
        entered_bytes = await self._work.enter(len(delivery.raw))
        try:
            return await self._deliver(provider, delivery)
        finally:
            self._work.leave(entered_bytes)

    async def _deliver(self, provider: Provider, delivery: Delivery) -> Report:
        report = Report()
        try:
            read = await asyncio.to_thread(self._sorted, provider, [delivery], report)
        finally:
            self._note_rejected(report)
        await self._publish(provider, read.letters, report)
        self._tell(provider, len(delivery.raw), report)
        return report

    async def park(self, provider: str, fetch: Fetch | None, kept: bytes, reason: str) -> None:
        """Keeps for the operator what cannot be fetched, as it was posted; or ``kept``, when nobody can read it.

        Raises Unavailable.
        """
        received, headers = (fetch.received, fetch.headers) if fetch else (datetime.now(UTC), ())
        await self._park(provider, received, headers, Unreadable(reason, fetch.post if fetch else kept), Report())

    def _read(self, provider: Provider, post: Post, report: Report, proven: bool) -> _Read:
        """Proof, parser, and what is to be done with what there is. Pure but for the report; may run in a thread."""
        if not proven:
            provider.verify(post)
        try:
            return self._sorted(provider, provider.parse(post), report)
        except (BadRequest, UnsupportedMediaType) as error:
            if provider.answers.unreadable != 200:
                raise
            return _Read(unreadable=[Unreadable(str(error), post.body, once=isinstance(error, WrongWebhook))])

    def _sorted(
        self, provider: Provider, events: Sequence[Delivery | Fetch | Unreadable], report: Report
    ) -> _Read:
        read = _Read()
        for event in events:
            if isinstance(event, Delivery):
                read.letters += self._letters(provider, event, report, alone=len(events) == 1)
            elif isinstance(event, Unreadable):
                read.unreadable.append(event)
            elif provider.name in self._fetched_from:
                read.fetches.append(event)
            else:
                read.unreadable.append(Unreadable(_no_key(provider), event.post))
        return read

    def _letters(
        self, provider: Provider, delivery: Delivery, report: Report, *, alone: bool
    ) -> Iterable[_Letter]:
        if problem := self._problem(delivery):
            reason = "too large" if isinstance(problem, TooLarge) else "too many recipients"
            if alone:
                for recipient in delivery.recipients[:_NAMED_RECIPIENTS]:
                    report.reject(_canonical_or_as_written(recipient), reason)
                raise problem
            # In a batch it is no reason to refuse the others.
            report.reject(next(iter(delivery.recipients), ""), reason)
            return ()
        event = (
            IdempotencyKey(f"{provider.name}\n{delivery.event}", delivery.retry_seconds)
            if delivery.event
            else None
        )
        return _letters(delivery, event, report)

    def _problem(self, delivery: Delivery) -> RelayError | None:
        if len(delivery.raw) > self._max_message_bytes:
            return too_large(self._max_message_bytes)
        if len(delivery.recipients) > MAX_RECIPIENTS:
            return BadRequest(f"more than {MAX_RECIPIENTS} recipients in one post; post the mail in parts")
        return None

    async def _publish(self, provider: Provider, letters: Sequence[_Letter], report: Report) -> None:
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

    def _note_rejected(self, report: Report) -> None:
        """Before anything is published: what has no owner yet."""
        for rejected in report.rejected:
            self._activity.refused("", rejected["inbox"], rejected["reason"])

    def _note(self, letter: _Letter, published: Published, at_ms: int) -> None:
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

    async def _publish_one(self, letter: _Letter) -> Published | Unwanted:
        message = for_inbox(letter.encoded, letter.inbox, letter.original_inbox)
        return await self._bus.publish(letter.inbox, message, letter.event)

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


def too_large(limit_bytes: int) -> TooLarge:
    """The error for a body, or a mail in it, that is larger than may be."""
    return TooLarge(f"the mail is larger than {limit_bytes} bytes, the limit here (RELAY_MAX_MESSAGE_BYTES)")


def _no_key(provider: Provider) -> str:
    return (
        f"the post only announces a mail, which has to be fetched: set RELAY_{provider.name.upper()}_API_KEY, and then"
        " relay parked retry"
    )


def _letters(delivery: Delivery, event: IdempotencyKey | None, report: Report) -> Iterator[_Letter]:
    encoded = encode(_message(delivery))
    inboxes: dict[str, None] = {}  # one letter each, although a recipient may be named twice
    for recipient in delivery.recipients:
        try:
            inboxes[canonical_address(recipient)] = None
        except BadAddress:
            report.reject(recipient, "not an address")
    rerouted_from = _canonical_or_as_written(delivery.rerouted_from) if delivery.rerouted_from else ""
    author = delivery.parts.sender[0].address if delivery.parts.sender else ""
    return (_Letter(inbox, rerouted_from, encoded, event, len(delivery.raw), author) for inbox in inboxes)


def _canonical_or_as_written(address: str) -> str:
    """Canonical like the inbox, so that the two differ only where mail was rerouted."""
    try:
        return canonical_address(address)
    except BadAddress:
        return address


def _batches(letters: Sequence[_Letter]) -> Iterator[Sequence[_Letter]]:
    if len(letters) == 1:
        yield letters
        return
    fitting = _BYTES_AT_ONCE // max((len(letter.encoded.letter.stored) for letter in letters), default=1)
    at_once = min(max(fitting, 1), _LETTERS_AT_ONCE)
    for start in range(0, len(letters), at_once):
        yield letters[start : start + at_once]


def _message(delivery: Delivery) -> Message:
    parts = delivery.parts
    return Message(
        received=delivery.received,
        raw=delivery.raw,
        sender=parts.sender,
        to=parts.to,
        cc=parts.cc,
        bcc=parts.bcc,
        subject=parts.subject,
        headers=parts.headers,
        text=parts.text,
        html=parts.html,
        attachments=parts.attachments,
        links=parts.links,
        ip=delivery.ip,
        via=delivery.via,
        rtls=delivery.rtls,
        spam=delivery.spam,
        raw_synthesized=delivery.raw_synthesized,
    )
