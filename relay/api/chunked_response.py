"""An answer of up to many megabytes, written piece by piece, as fast as the client reads it; and a limit for all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from relay.errors import TooManyRequests, Unavailable

_PIECE_BYTES = 64 * 1024
_PIECE_SECONDS = 60.0  # for the client to read one; who does not holds memory, and is left
_BYTES_A_SECOND = 64 * 1024  # and so does who reads slower
_MOST_SECONDS = 600.0
_BYTES_OF_ACCOUNT = 64 << 20
_BYTES_OF_ALL = 256 << 20


class ResponseMemory:
    """Bytes of answers that are held until their clients have read them, in this process.

    Who has none unread gets an answer of any size.
    """

    def __init__(self, *, per_account: int = _BYTES_OF_ACCOUNT, of_all: int = _BYTES_OF_ALL) -> None:
        self._per_account = per_account
        self._of_all = of_all
        self._bytes: Counter[str] = Counter()  # by account

    def check(self, account_id: str, more: int = 1) -> None:
        """Returns when there is room for so many. Raises TooManyRequests: the account has enough; Unavailable: all."""
        own, total = self._bytes[account_id], self._bytes.total()
        if own and own + more > self._per_account:
            raise TooManyRequests(
                f"answers of {own} bytes for this account are not read yet; read those before you ask for more",
                retry_seconds=10,
            )
        if total and total + more > self._of_all:
            raise Unavailable("too many large answers are not read yet; try again")

    @contextmanager
    def hold(self, account_id: str, size_bytes: int) -> Iterator[None]:
        """As long as the block. Raises as :meth:`check`."""
        self.check(account_id, size_bytes)
        self._bytes[account_id] += size_bytes
        try:
            yield
        finally:
            self._bytes[account_id] -= size_bytes
            if not self._bytes[account_id]:
                del self._bytes[account_id]


class ChunkedResponse(Response):
    """``content_type`` is said as it is. What is written and not yet read never exceeds a few pieces."""

    def __init__(
        self,
        content: bytes,
        content_type: str,
        headers: Mapping[str, str],
        *,
        account_id: str,
        unread: ResponseMemory,
        piece_seconds: float = _PIECE_SECONDS,
        seconds: float | None = None,
    ) -> None:
        """``seconds``: for the whole answer; None = by its size."""
        super().__init__(headers={**headers, "content-type": content_type, "content-length": str(len(content))})
        self._content = memoryview(content)
        self._account_id = account_id
        self._unread = unread
        self._piece_seconds = piece_seconds
        self._seconds = seconds_for(len(content)) if seconds is None else seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises as ResponseMemory.check, before anything is sent."""
        with self._unread.hold(self._account_id, len(self._content)):
            try:
                async with asyncio.timeout(self._seconds):
                    await self._send(send)
            except TimeoutError:
                return  # the server closes a connection whose answer is not whole

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        size = len(self._content)
        for start in range(0, max(size, 1), _PIECE_BYTES):
            end = start + _PIECE_BYTES
            piece = bytes(self._content[start:end])
            async with asyncio.timeout(self._piece_seconds):
                await send({"type": "http.response.body", "body": piece, "more_body": end < size})


class StreamedResponse(Response):
    """An answer that is made while the client reads it; its length is not known before."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        content_type: str,
        *,
        account_id: str,
        held_bytes: int,
        unread: ResponseMemory,
        piece_seconds: float = _PIECE_SECONDS,
    ) -> None:
        """``held_bytes``: what is in memory beside a piece until all is read."""
        super().__init__(headers={"content-type": content_type})
        del self.headers["content-length"]
        self._pieces = pieces
        self._account_id = account_id
        self._held_bytes = held_bytes
        self._unread = unread
        self._piece_seconds = piece_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises as ResponseMemory.check, and what making the first piece raises, before anything is sent."""
        with self._unread.hold(self._account_id, self._held_bytes):
            async with aclosing(self._pieces):
                await self._make(send)

    async def _make(self, send: Send) -> None:
        first = await anext(self._pieces, b"")
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                await self._send(send, first)
        except (TimeoutError, Unavailable):
            return  # the server closes a connection whose answer is not whole

    async def _send(self, send: Send, first: bytes) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._send_piece(send, first)
        async for piece in self._pieces:
            await self._send_piece(send, piece)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_piece(self, send: Send, piece: bytes) -> None:
        async with asyncio.timeout(self._piece_seconds):
            await send({"type": "http.response.body", "body": piece, "more_body": True})


def seconds_for(size_bytes: int) -> float:
    """How long a client may take to read so much."""
    return min(_PIECE_SECONDS + size_bytes / _BYTES_A_SECOND, _MOST_SECONDS)
