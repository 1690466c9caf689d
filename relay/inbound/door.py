"""``POST /inbound/<provider>``: reads within a limit, hands the post to the intake, answers.

The answer to a provider decides whether mail is lost, bounced or sent again. 200 means that Redis has every
accepted message, and what could not be read among the dead letters; 503 asks for another try; 4xx says that another
try would end the same way. Which status has that effect is the provider's to know (``answers``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache, partial

import orjson
import structlog
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from relay import pace
from relay.activity.kinds import shown
from relay.errors import BadRequest, RelayError, TooLarge, Unavailable, UnsupportedEncoding, UnsupportedMediaType
from relay.inbound.budget import Budget, Overloaded, Share
from relay.inbound.encoding import Decoder, coding_of
from relay.inbound.intake import Intake, Observer
from relay.inbound.reading import too_large
from relay.inbound.webhook.provider import (
    ANSWERS,
    Answers,
    BodyProven,
    HeadProven,
    NotProven,
    NotReady,
    Post,
    PostHeaders,
    Provider,
)
from relay.work_bytes import WorkBytes

# Who is refused by the head of a request may still be writing its body, and would never read why if it were cut off.
_LATE_SECONDS = 1.0  # a timer that fires so much later: the process has been stopped, or busy
_DISCARD_SECONDS = 5.0
_LINGER_SECONDS = 2.0  # after the answer; 25 MiB come in that time with 100 Mbit/s
# To prove a body takes time and, in some forms, as much memory again: beyond the small ones few are proven at once.
_SMALL_BYTES = 128 * 1024
_PROVEN_AT_ONCE = 2
_NO_QUERY = QueryParams()


class _Body:
    """What has come of a body. One of one chunk is never copied."""

    __slots__ = ("_chunks", "_limit_bytes", "_too_long", "decoder", "sent_bytes", "size_bytes", "whole")

    def __init__(self, limit_bytes: int) -> None:
        """``limit_bytes``: beyond it the rest is not read."""
        self.limit(limit_bytes, too_large(limit_bytes))
        self._chunks: list[bytes] = []
        self.size_bytes = 0  # without its Content-Encoding
        self.sent_bytes = 0  # as it comes
        self.decoder: Decoder | None = None  # None = it has no Content-Encoding
        self.whole = False

    def limit(self, limit_bytes: int, too_long: RelayError) -> None:
        """``too_long`` is what is wrong with a body beyond the limit."""
        self._limit_bytes = limit_bytes
        self._too_long = too_long

    def look_at(self, size_bytes: int) -> None:
        """Raises what is wrong with so many bytes."""
        if size_bytes > self._limit_bytes:
            raise self._too_long

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.size_bytes += len(chunk)

    def take(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def entrances(
    providers: Iterable[Provider],
    intake: Intake,
    observer: Observer,
    work: WorkBytes,
    *,
    settled: Callable[[str], Awaitable[None]],
    max_message_bytes: int,
    request_seconds: float,
    public_url: str = "",
) -> dict[str, Entrance]:
    """What answers at which path. A provider without a secret is not among them, and its path does not exist.

    ``work``: what bodies are counted by. One that could never fit is too large, whatever its provider allows.
    ``settled(url)`` waits until the download of the URL, which a proof needs, has succeeded or failed.
    ``request_seconds``: before a body must keep the least rate (pace.py).
    ``public_url``: without a slash at the end; "" = scheme and host of each request stand for it.
    """
    budget = Budget(work)
    observer.metrics.inbound_bytes.labels("all").set_function(lambda: work.bodies_bytes)
    observer.metrics.inbound_bytes.labels("unproven").set_function(lambda: budget.unproven_bytes)

    proving = asyncio.Semaphore(_PROVEN_AT_ONCE)

    def entrance(provider: Provider) -> Entrance:
        return Entrance(
            provider,
            intake,
            observer,
            budget,
            settled=settled,
            public_url=public_url,
            proving=proving,
            max_message_bytes=max_message_bytes,
            request_seconds=request_seconds,
        )

    return {f"/inbound/{provider.name}": entrance(provider) for provider in providers}


class Entrance:
    """One provider's path as an ASGI application, for POST and HEAD."""

    def __init__(
        self,
        provider: Provider,
        intake: Intake,
        observer: Observer,
        budget: Budget,
        *,
        settled: Callable[[str], Awaitable[None]],
        public_url: str,
        proving: asyncio.Semaphore,
        max_message_bytes: int,
        request_seconds: float,
    ) -> None:
        """As of :func:`entrances`. ``proving``: held while a large body is proven."""
        self._intake = intake
        self._activity = observer.activity
        self._budget = budget
        self._settled = settled
        self._public_url = public_url
        self._limit_bytes = min(provider.body_limit(max_message_bytes), budget.limit_bytes)
        self._request_seconds = request_seconds
        self._max_message_bytes = max_message_bytes
        self._proving = proving
        self.use(provider)
        # labels() takes longer than inc(), and there are few: a status each.
        self._posts = lru_cache(maxsize=32)(partial(observer.metrics.inbound.labels, provider.name))
        self._log = structlog.get_logger().bind()

    def use(self, provider: Provider) -> None:
        """Another one of the same name: with other secrets. Posts under way are proven by the one before."""
        self._provider = provider
        self._body_proven = provider if isinstance(provider, BodyProven) else None
        self._head_proven = provider if isinstance(provider, HeadProven) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers whatever is a RelayError; others are the server's."""
        if scope["method"] == "HEAD":  # some providers look whether the URL is there before they save it
            return await Response()(scope, receive, send)
        body = _Body(self._limit_bytes)
        try:
            answer = await self._answer(body, scope, receive)
        except RelayError as error:
            refused = self._refused(error, body, scope)
            if not body.whole and (isinstance(error, Unavailable) or body.decoder):
                return await self._put_off(refused, body, scope, receive, send)
            return await refused(scope, receive, send)
        self._posts("200").inc()
        headers = [(b"content-length", b"%d" % len(answer)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        return await send({"type": "http.response.body", "body": answer})

    async def _answer(self, body: _Body, scope: Scope, receive: Receive) -> bytes:
        """As :meth:`_take`; the system's own limit of memory is a reason to come again, like ours."""
        try:
            return await self._take(body, scope, receive)
        except MemoryError:
            self._log.exception("inbound.no_memory", provider=self._provider.name, size_bytes=body.size_bytes)
            raise Overloaded("no memory is left; try again") from None

    async def _take(self, body: _Body, scope: Scope, receive: Receive) -> bytes:
        """Takes one post in; returns the JSON for its provider. Raises RelayError: nothing, or not all, was taken."""
        headers = PostHeaders(scope["headers"])
        query = QueryParams(scope["query_string"]) if scope["query_string"] else _NO_QUERY
        url = _url(self._public_url, headers, scope)
        share = self._budget.share(scope["client"][0] if scope.get("client") else "")
        proven = self._head_proven is not None and self._head_proven.proof_in_head(headers)
        head = Post(headers, query, b"", datetime.now(UTC), url)
        _refuse_declared(headers, body)
        try:  # before a stranger can have us hold a body
            if proven:
                await self._verify_head(head)
                share.prove()
            else:
                self._limit_unproven(body, head)
                _refuse_declared(headers, body)
            if coding := coding_of(headers.getlist("content-encoding")):
                body.decoder = Decoder(coding)
        except (NotProven, NotReady, UnsupportedEncoding):
            await self._discard(headers, body, receive)
            raise
        try:
            await self._read(body, share, receive)
            share.come()
            post = Post(headers, query, body.take(), datetime.now(UTC), url)
            try:
                return await self._taken(post, share)
            except NotReady as missing:  # the first of its kind; who sends it may not do so again
                await self._settled(missing.url)
                return await self._taken(post, share)
        finally:
            share.release()

    def _limit_unproven(self, body: _Body, head: Post) -> None:
        """What is longer than its proof may be is no mail that is too large. Raises NotProven, or NotReady."""
        limit_bytes = min(self._limit_bytes, self._budget.unproven_limit_bytes)
        body.limit(limit_bytes, too_large(limit_bytes))
        if self._body_proven:
            provable_bytes = self._body_proven.unproven_limit(head, self._max_message_bytes)
            if provable_bytes < limit_bytes:
                error = NotProven(f"such a post of the provider has at most {provable_bytes} bytes")
                body.limit(provable_bytes, error)

    async def _taken(self, post: Post, share: Share) -> bytes:
        if not share.proven and len(post.body) > _SMALL_BYTES:
            async with self._proving:
                await asyncio.to_thread(self._provider.verify, post)
            share.prove()
        return (await self._intake.take(self._provider, post, proven=share.proven)).answer()

    async def _verify_head(self, head: Post) -> None:
        try:
            self._provider.verify(head)
        except NotReady as missing:
            await self._settled(missing.url)
            self._provider.verify(head)

    async def _read(self, body: _Body, share: Share, receive: Receive) -> None:
        await self._read_chunk(body, share, receive)
        if body.whole:  # nearly all mail comes in one piece, and needs no clock
            return
        loop, request_seconds = asyncio.get_running_loop(), self._request_seconds
        began = loop.time()
        while not body.whole:
            try:
                async with asyncio.timeout_at(None) as clock:
                    share.wait(partial(_give_up, clock))
                    while not body.whole:
                        clock.reschedule(
                            began + pace.seconds_for(body.size_bytes, request_seconds=request_seconds)
                        )
                        await self._read_chunk(body, share, receive)
            except TimeoutError:
                share.come()
                if loop.time() - (clock.when() or 0) < _LATE_SECONDS:
                    least = f"{pace.LEAST_BYTES_PER_SECOND // 1024} KiB/s after {request_seconds:g} s"
                    raise Overloaded(f"the body came too slowly: {least} is the least; try again") from None
                began = loop.time()  # this process did not run, and what came meanwhile waits to be read

    async def _read_chunk(self, body: _Body, share: Share, receive: Receive) -> None:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the connection ended before the body did")
        chunk, last = message.get("body", b""), not message.get("more_body", False)
        if body.decoder is None:
            self._keep(body, share, chunk)
        else:
            body.sent_bytes += len(chunk)
            body.look_at(body.sent_bytes)  # what has no end may hold nothing
            for piece in body.decoder.decode(chunk, last=last):
                self._keep(body, share, piece)
                await asyncio.sleep(0)  # others have their turn
        body.whole = last

    def _keep(self, body: _Body, share: Share, piece: bytes) -> None:
        share.hold(len(piece))
        body.add(piece)
        body.look_at(body.size_bytes)

    async def _put_off(self, refused: Response, body: _Body, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers at once, and reads on for a moment: who still writes would lose the answer with the connection."""

        async def send_unended(message: Message) -> None:
            await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

        await refused(scope, receive, send_unended)
        await self._discard(PostHeaders(scope["headers"]), body, receive, seconds=_LINGER_SECONDS)
        await send({"type": "http.response.body", "body": b""})

    async def _discard(
        self, headers: PostHeaders, body: _Body, receive: Receive, *, seconds: float = _DISCARD_SECONDS
    ) -> None:
        """Reads on for a moment, and keeps nothing. Afterwards the body is whole, or its connection must end."""
        if "expect" in headers:  # it waits to be told to go on, and is not
            return
        left_bytes = self._limit_bytes
        try:
            async with asyncio.timeout(seconds):
                while not body.whole and left_bytes >= 0:
                    message = await receive()
                    left_bytes -= len(message.get("body", b""))
                    body.whole = not message.get("more_body", False)
        except TimeoutError:
            pass

    def _refused(self, error: RelayError, body: _Body, scope: Scope) -> Response:
        # The bytes that a provider could not prove, or that it wants back, are nobody's mail: not kept.
        name, status = self._provider.name, _status(self._provider.answers, error)
        client = shown(scope["client"][0]) if scope.get("client") else ""
        self._posts(str(status)).inc()
        self._log.warning("inbound.refused", provider=name, status=status, error=str(error), client=client)
        self._activity.refused_post(name, status, str(error), client=client)
        headers = dict(error.headers) if body.whole else {**error.headers, "connection": "close"}
        return Response(orjson.dumps(error.body()), status, headers, "application/json")


def _give_up(clock: asyncio.Timeout) -> None:
    clock.reschedule(asyncio.get_running_loop().time())


def _status(answers: Answers, error: RelayError) -> int:
    """The status that has the error's effect at the provider."""
    if isinstance(error, NotProven):
        return answers.not_proven
    if isinstance(error, TooLarge):
        return answers.too_large
    if isinstance(error, Unavailable):
        return answers.unavailable
    if isinstance(error, UnsupportedEncoding):
        return error.status  # it says what is taken instead
    # 400 leaves the error its own, which is more exact; where 200 is meant, what could be parked is not here.
    if isinstance(error, BadRequest | UnsupportedMediaType) and answers.unreadable not in (
        ANSWERS.unreadable,
        200,
    ):
        return answers.unreadable
    return error.status


def _url(public_url: str, headers: PostHeaders, scope: Scope) -> str:
    """See :class:`Post`. The scheme is as trusted proxies tell."""
    base = public_url or f"{scope['scheme']}://{headers.get('host', '')}"
    query: bytes = scope["query_string"]
    path = f"{base}{scope['raw_path'].decode('latin-1')}"
    return f"{path}?{query.decode('latin-1')}" if query else path


def _refuse_declared(headers: PostHeaders, body: _Body) -> None:
    """Raises what is wrong with a body of the length that is declared."""
    declared = headers.get("content-length", "")
    if declared.isdecimal():
        body.look_at(int(declared[:19]))  # 18 digits are more than any limit
