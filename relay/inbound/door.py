"""``POST /inbound/<provider>``: reads within a limit, hands the post to the intake, answers.

The answer to a provider decides whether mail is lost, bounced or sent again. 200 means that Redis has every
accepted message, and what could not be read among the dead letters; 503 asks for another try; 4xx says that another
try would end the same way. Which status has that effect is the provider's to know (``answers``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial

import orjson
import structlog
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relay.activity.kinds import shown
from relay.errors import BadRequest, RelayError, TooLarge, Unavailable, UnsupportedMediaType
from relay.inbound.intake import Intake, Observer, too_large
from relay.inbound.webhook.provider import (
    ANSWERS,
    Answers,
    HeadProven,
    NotProven,
    NotReady,
    Post,
    PostHeaders,
    Provider,
)
from relay.work_bytes import WorkBytes

# A body that comes more slowly holds memory that other providers need; 25 MiB in it are 3.5 Mbit/s.
_BODY_SECONDS = 60.0
# Who is refused by the head of a request may still be writing its body, and would never read why if it were cut off.
_DISCARD_SECONDS = 5.0
_LINGER_SECONDS = 2.0  # after the answer; 25 MiB come in that time with 100 Mbit/s
_NO_QUERY = QueryParams()


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


def entrances(
    providers: Iterable[Provider],
    intake: Intake,
    observer: Observer,
    work: WorkBytes,
    *,
    settled: Callable[[str], Awaitable[None]],
    max_message_bytes: int,
    public_url: str = "",
) -> dict[str, ASGIApp]:
    """What answers at which path. A provider without a secret is not among them, and its path does not exist.

    ``work``: what bodies are counted by. One that could never fit is too large, whatever its provider allows.
    ``settled(url)`` waits until the download of the URL, which a proof needs, has succeeded or failed.
    ``public_url``: without a slash at the end; "" = scheme and host of each request stand for it.
    """

    def entrance(provider: Provider) -> Entrance:
        limit_bytes = min(provider.body_limit(max_message_bytes), work.bodies_limit_bytes)
        return Entrance(
            provider, intake, observer, work, settled=settled, public_url=public_url, limit_bytes=limit_bytes
        )

    return {f"/inbound/{provider.name}": entrance(provider) for provider in providers}


class Entrance:
    """One provider's path as an ASGI application, for POST and HEAD."""

    def __init__(
        self,
        provider: Provider,
        intake: Intake,
        observer: Observer,
        work: WorkBytes,
        *,
        settled: Callable[[str], Awaitable[None]],
        public_url: str,
        limit_bytes: int,
    ) -> None:
        """As of :func:`entrances`. ``limit_bytes``: of a body."""
        self._provider = provider
        self._intake = intake
        self._activity = observer.activity
        self._work = work
        self._settled = settled
        self._public_url = public_url
        self._limit_bytes = limit_bytes
        self._head_proven = provider if isinstance(provider, HeadProven) else None
        # labels() takes longer than inc(), and there are few: a status each.
        self._posts = lru_cache(maxsize=32)(partial(observer.metrics.inbound.labels, provider.name))
        self._log = structlog.get_logger().bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers whatever is a RelayError; others are the server's."""
        if scope["method"] == "HEAD":  # some providers look whether the URL is there before they save it
            return await Response()(scope, receive, send)
        body = _Body()
        try:
            answer = await self._answer(body, scope, receive)
        except RelayError as error:
            refused = self._refused(error, body, scope)
            if isinstance(error, Unavailable) and not body.whole:
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
            raise _Overloaded("no memory is left; try again") from None

    async def _take(self, body: _Body, scope: Scope, receive: Receive) -> bytes:
        """Takes one post in; returns the JSON for its provider. Raises RelayError: nothing, or not all, was taken."""
        headers = PostHeaders(scope["headers"])
        query = QueryParams(scope["query_string"]) if scope["query_string"] else _NO_QUERY
        url = _url(self._public_url, headers, scope)
        _refuse_declared(headers, self._limit_bytes)
        proven = self._head_proven is not None and self._head_proven.proof_in_head(headers)
        if proven:  # before a stranger can have us hold a body
            try:
                await self._verify_head(Post(headers, query, b"", datetime.now(UTC), url))
            except (NotProven, NotReady):
                await self._discard(headers, body, receive)
                raise
        try:
            await self._read(body, receive)
            post = Post(headers, query, body.take(), datetime.now(UTC), url)
            try:
                report = await self._intake.take(self._provider, post, proven=proven)
            except NotReady as missing:  # the first of its kind; who sends it may not do so again
                await self._settled(missing.url)
                report = await self._intake.take(self._provider, post, proven=proven)
            return report.answer()
        finally:
            self._work.release(body.size_bytes)

    async def _verify_head(self, head: Post) -> None:
        try:
            self._provider.verify(head)
        except NotReady as missing:
            await self._settled(missing.url)
            self._provider.verify(head)

    async def _read(self, body: _Body, receive: Receive) -> None:
        await self._read_chunk(body, receive)
        if body.whole:  # nearly all mail comes in one piece, and needs no clock
            return
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                while not body.whole:
                    await self._read_chunk(body, receive)
        except TimeoutError:
            raise _Overloaded(f"the body did not come within {_BODY_SECONDS:g} s; try again") from None

    async def _read_chunk(self, body: _Body, receive: Receive) -> None:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the connection ended before the body did")
        chunk = message.get("body", b"")
        self._work.reserve(len(chunk))
        body.add(chunk, last=not message.get("more_body", False))
        if body.size_bytes > self._limit_bytes:
            raise too_large(self._limit_bytes)

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


def _status(answers: Answers, error: RelayError) -> int:
    """The status that has the error's effect at the provider."""
    if isinstance(error, NotProven):
        return answers.not_proven
    if isinstance(error, TooLarge):
        return answers.too_large
    if isinstance(error, Unavailable):
        return answers.unavailable
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


def _refuse_declared(headers: PostHeaders, limit: int) -> None:
    declared = headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > limit):
        raise too_large(limit)
