"""One URL of a provider's API, asked once: the body, or what to make of it that there is none.

Everything is bounded: the time of an answer, its bytes. Redirects are not followed. What is said of a failure names the
host, never the path or the query, in which a token may stand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2

from relay import __version__

_SECONDS = 60.0  # for one answer, whole: as long as a provider may take for its post
_MAX_RETRY_AFTER_SECONDS = 3600.0
_FOR_NOW = frozenset({408, 425, 429})
_REFUSED = frozenset({401, 403})


class NotNow(Exception):
    """No answer that can be used, for now: another try may end well."""

    def __init__(self, reason: str, *, seconds: float = 0.0) -> None:
        """``seconds``: the answer asks to wait so long; 0 = it does not say."""
        self.seconds = seconds
        super().__init__(reason)


class KeyRefused(NotNow):
    """The API key is wrong, or has not the right: the operator must act."""


class Expired(NotNow):
    """A URL that an answer named is good no more: the answer before has to be asked for again."""


class Never(Exception):
    """Another try would end the same way."""


class Asker:
    """The client of one process; :meth:`close` has an owner."""

    def __init__(self) -> None:
        # A proxy that the environment names is used.
        self._client = httpx2.AsyncClient(
            timeout=_SECONDS,
            follow_redirects=False,
            headers={"accept-encoding": "identity", "user-agent": f"relay/{__version__}"},
        )

    async def close(self) -> None:
        """Ends all connections."""
        await self._client.aclose()

    async def get(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        with_key: bool,
        limit_bytes: int,
        reserve: Callable[[int], None],
    ) -> bytes:
        """The body of a 200.

        ``with_key``: the headers hold the API key. ``reserve(n)`` counts n bytes that came, and may raise Unavailable.
        Raises NotNow, one of its kinds, Never, or what ``reserve`` raises.
        """
        host = urlsplit(url).hostname
        self._client.cookies.clear()  # one answer shall not change the next
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._client.stream("GET", url, headers=dict(headers)) as response,
            ):
                if response.status_code != 200:
                    raise _refusal(response, f"{host} answers {response.status_code}", with_key=with_key)
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise NotNow(f"{host} answers in an encoding that was not asked for")
                return await _body(response, limit_bytes, reserve)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            raise NotNow(f"{host} gives no whole answer ({type(error).__name__})") from error


async def _body(response: httpx2.Response, limit_bytes: int, reserve: Callable[[int], None]) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        reserve(len(chunk))
        body += chunk
        if len(body) > limit_bytes:
            raise Never(f"the mail at {response.url.host} is larger than it may be (RELAY_MAX_MESSAGE_BYTES)")
    return bytes(body)


def _refusal(response: httpx2.Response, reason: str, *, with_key: bool) -> Exception:
    status = response.status_code
    if status in _REFUSED and with_key:
        return KeyRefused(reason)
    if status in _REFUSED:
        return Expired(reason)
    if status in _FOR_NOW or status >= 500:
        return NotNow(reason, seconds=_retry_after(response.headers.get("retry-after", "")))
    return Never(f"{reason}, and a redirect is not followed" if 300 <= status < 400 else reason)


def _retry_after(value: str) -> float:
    """RFC 9110 section 10.2.3: seconds, or a date. 0 for anything else."""
    seconds = 0.0
    if value.isascii() and value.isdigit() and len(value) < 10:
        seconds = float(value)
    else:
        with suppress(ValueError, OverflowError):
            seconds = (parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_SECONDS)
