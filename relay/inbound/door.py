"""``POST /inbound/<sender>``: reads within a limit, has the sender prove and parse, publishes, answers.

The answer to a sender decides whether mail is lost, bounced or sent again. 200 means that Redis has every
accepted message; 503 asks for another try; 4xx says that another try would end the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import orjson
import structlog
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from relay.address import BadAddress, canonical_address
from relay.bus import Bus, Event, Published, Unwanted
from relay.errors import BadRequest, RelayError, TooLarge, Unavailable
from relay.inbound.sender import Delivery, Post, PostHeaders, Sender, Unreadable
from relay.message import Message, address, encode
from relay.metrics import Metrics

# A recipient list longer than this is a mistake or an attack; RFC 5321 section 4.5.3.1.8 asks for 100.
MAX_RECIPIENTS = 1000
# Above this a body is worked on in a thread, so that no other request or socket waits for it: the Rust and C
# parts release the GIL. Below, handing over would cost more than the work.
_THREAD_BYTES = 128 * 1024
# A body that comes more slowly holds memory that other senders need; 25 MiB in it are 3.5 Mbit/s.
_BODY_SECONDS = 60.0
# All bodies together may hold this many of the largest mail; beyond, senders are asked to come again.
_BODIES_IN_MEMORY = 16
# Messages published at once for one post: few enough to fit in memory, and to leave connections to Redis for
# other posts; with more, the last would use up their time limit waiting for one.
_BYTES_AT_ONCE = 4 * 1024 * 1024
_LETTERS_AT_ONCE = 32
_NO_QUERY = QueryParams()


@dataclass(frozen=True, slots=True)
class _Letter:
    """A mail for one recipient; the mail itself is encoded once for all."""

    inbox: str
    original_inbox: str
    encoded: bytes
    event: Event | None


class _Report:
    """What became of each recipient of a post: the answer to the sender, the log line, the counters."""

    def __init__(self) -> None:
        self.accepted: list[dict[str, str | bool]] = []
        self.rejected: list[dict[str, str]] = []

    def accept(self, inbox: str, published: Published) -> None:
        one: dict[str, str | bool] = {"inbox": inbox, "_id": published.message_id}
        self.accepted.append(one | {"duplicate": True} if published.repeated else one)

    def reject(self, inbox: str, reason: str) -> None:
        self.rejected.append({"inbox": inbox, "reason": reason})

    def answer(self) -> bytes:
        return orjson.dumps({"accepted": self.accepted, "rejected": self.rejected})


class _Body:
    """What has come of a body. One of one chunk is never copied."""

    __slots__ = ("_chunks", "size_bytes", "whole")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self.size_bytes = 0
        self.whole = False

    def add(self, chunk: bytes, *, last: bool) -> None:
        self._chunks.append(chunk)
        self.size_bytes += len(chunk)
        self.whole = last

    def take(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class _Overloaded(Unavailable):
    """A body that cannot be taken now: there is too much at once, or it comes too slowly."""

    @property
    def headers(self) -> Mapping[str, str]:
        return {**super().headers, "connection": "close"}  # what is left of the body is not read


class Door:
    """The door in, for all senders that have a secret."""

    def __init__(self, bus: Bus, metrics: Metrics, *, max_message_bytes: int) -> None:
        self._bus = bus
        # labels() takes longer than inc(), and there are few: a status or an outcome each.
        self._posts = lru_cache(maxsize=256)(metrics.inbound.labels)
        self._recipients = lru_cache(maxsize=256)(metrics.recipients.labels)
        self._duplicates = metrics.duplicates.labels
        self._max_message_bytes = max_message_bytes
        self._bytes_held = 0
        self._log = structlog.get_logger().bind()  # once: there is a line for each mail

    def entrances(self, senders: Iterable[Sender]) -> dict[str, ASGIApp]:
        """What answers at which path; who has no secret is not among the senders, and its path does not exist."""
        return {f"/inbound/{sender.name}": Entrance(self, sender) for sender in senders}

    async def take(self, sender: Sender, scope: Scope, receive: Receive) -> bytes:
        """Takes one post in; returns the JSON for its sender. Raises RelayError: nothing, or not all, was taken."""
        try:
            answer = await self._take(sender, scope, receive)
        except RelayError as error:
            # The bytes that a sender could not prove, or we could not read, are nobody's mail: not kept.
            self._posts(sender.name, str(error.status)).inc()
            self._log.warning("inbound.refused", sender=sender.name, status=error.status, error=str(error))
            raise
        self._posts(sender.name, "200").inc()
        return answer

    async def _take(self, sender: Sender, scope: Scope, receive: Receive) -> bytes:
        limit = sender.body_limit(self._max_message_bytes)
        headers = PostHeaders(scope["headers"])
        _refuse_declared(headers, limit)
        body = _Body()
        try:
            await self._read_chunk(receive, body, limit)
            if not body.whole:  # nearly all mail comes in one piece, and needs no clock
                async with asyncio.timeout(_BODY_SECONDS):
                    while not body.whole:
                        await self._read_chunk(receive, body, limit)
            query = QueryParams(scope["query_string"]) if scope["query_string"] else _NO_QUERY
            return await self._publish(sender, Post(headers, query, body.take(), datetime.now(UTC)))
        except TimeoutError:
            raise _Overloaded(f"the body did not come within {_BODY_SECONDS:g} s; try again") from None
        finally:
            self._bytes_held -= body.size_bytes

    async def _read_chunk(self, receive: Receive, body: _Body, limit: int) -> None:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the connection ended before the body did")
        chunk = message.get("body", b"")
        body.add(chunk, last=not message.get("more_body", False))
        self._bytes_held += len(chunk)
        if body.size_bytes > limit:
            raise _too_large(limit)
        if self._bytes_held > _BODIES_IN_MEMORY * self._max_message_bytes:
            raise _Overloaded("too much mail is coming in at once; try again")

    async def _publish(self, sender: Sender, post: Post) -> bytes:
        report = _Report()
        if len(post.body) > _THREAD_BYTES:
            letters = await asyncio.to_thread(self._read, sender, post, report)
        else:
            letters = self._read(sender, post, report)
        for batch in _batches(letters):
            if len(batch) == 1:  # nearly always; a task for it would cost more than its encoding
                outcomes = [await self._publish_one(batch[0])]
            else:
                outcomes = await asyncio.gather(*map(self._publish_one, batch))
            for letter, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Published):
                    report.accept(letter.inbox, outcome)
                    if outcome.repeated:
                        self._duplicates(sender.name).inc()
                else:
                    report.reject(letter.inbox, outcome.reason)
        self._tell(sender, len(post.body), report)
        return report.answer()

    async def _publish_one(self, letter: _Letter) -> Published | Unwanted:
        message = address(letter.encoded, letter.inbox, letter.original_inbox)
        return await self._bus.publish(letter.inbox, message, letter.event)

    def _tell(self, sender: Sender, size_bytes: int, report: _Report) -> None:
        self._log.info(
            "inbound.taken",
            sender=sender.name,
            size_bytes=size_bytes,
            accepted=report.accepted,
            rejected=report.rejected,
        )
        if report.accepted:
            self._recipients(sender.name, "accepted").inc(len(report.accepted))
        for one in report.rejected:
            self._recipients(sender.name, one["reason"]).inc()

    def _read(self, sender: Sender, post: Post, report: _Report) -> list[_Letter]:
        """Proof, parser, and a letter for each recipient. Pure but for the report; may run in a thread."""
        sender.verify(post)
        letters: list[_Letter] = []
        for delivery in sender.parse(post):
            if isinstance(delivery, Unreadable):
                raise BadRequest(delivery.reason)  # no sender of batches is here yet
            if len(delivery.raw) > self._max_message_bytes:
                raise _too_large(self._max_message_bytes)
            if len(delivery.recipients) > MAX_RECIPIENTS:
                raise BadRequest(f"more than {MAX_RECIPIENTS} recipients in one post; post the mail in parts")
            event = Event(f"{sender.name}\n{delivery.event}", delivery.retry_seconds) if delivery.event else None
            letters += _letters(delivery, event, report)
        return letters


class Entrance:
    """One sender's path as an ASGI application, for POST and HEAD."""

    def __init__(self, door: Door, sender: Sender) -> None:
        self._door = door
        self._sender = sender

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers whatever is a RelayError; others are the server's."""
        if scope["method"] == "HEAD":  # some senders look whether the URL is there before they save it
            return await Response()(scope, receive, send)
        try:
            answer = await self._door.take(self._sender, scope, receive)
        except RelayError as error:
            refusal = Response(orjson.dumps(error.body()), error.status, error.headers, "application/json")
            return await refusal(scope, receive, send)
        headers = [(b"content-length", b"%d" % len(answer)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        return await send({"type": "http.response.body", "body": answer})


def _letters(delivery: Delivery, event: Event | None, report: _Report) -> Iterator[_Letter]:
    encoded = encode(_message(delivery))
    inboxes: dict[str, None] = {}  # one letter each, although a recipient may be named twice
    for recipient in delivery.recipients:
        try:
            inboxes[canonical_address(recipient)] = None
        except BadAddress:
            report.reject(recipient[:320], "not an address")
    rerouted_from = _canonical_or_as_written(delivery.rerouted_from) if delivery.rerouted_from else ""
    return (_Letter(inbox, rerouted_from, encoded, event) for inbox in inboxes)


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
    fitting = _BYTES_AT_ONCE // max((len(letter.encoded) for letter in letters), default=1)
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


def _refuse_declared(headers: PostHeaders, limit: int) -> None:
    declared = headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > limit):
        raise _too_large(limit)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the mail is larger than {limit} bytes, the limit here (RELAY_MAX_MESSAGE_BYTES)")
