"""An answer of up to many megabytes, written piece by piece, as fast as the client reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_PIECE_BYTES = 64 * 1024
_PIECE_SECONDS = 60.0  # for the client to read one; who does not holds memory, and is left


class Pieces(Response):
    """``content_type`` is said as it is. What is written and not yet read never exceeds a few pieces."""

    def __init__(
        self,
        content: bytes,
        content_type: str,
        headers: Mapping[str, str],
        *,
        piece_seconds: float = _PIECE_SECONDS,
    ) -> None:
        super().__init__(headers={**headers, "content-type": content_type, "content-length": str(len(content))})
        self._content = memoryview(content)
        self._piece_seconds = piece_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        size = len(self._content)
        for start in range(0, max(size, 1), _PIECE_BYTES):
            end = start + _PIECE_BYTES
            piece = {
                "type": "http.response.body",
                "body": bytes(self._content[start:end]),
                "more_body": end < size,
            }
            try:
                async with asyncio.timeout(self._piece_seconds):
                    await send(piece)
            except TimeoutError:
                return  # the server closes a connection whose answer is not whole
