"""Small things from a few known places over https, for providers whose proof is not in the post (Amazon SNS, OAuth).

A provider is pure and asks without waiting: :meth:`Fetcher.cached` gives what is there, and asks for what is not. The
task of :meth:`Fetcher.run` gets it. Who asks is not trusted yet, so everything is bounded: the hosts, the bytes, the
time, how much is under way, and how soon what failed is tried again. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog

from relay.network import is_plain_https

_SECONDS = 10.0  # for one answer, whole
_MAX_BYTES = 64 * 1024  # a certificate has 2 KiB
_MAX_KEPT = 32  # Amazon has one certificate a region at a time, and changes it once a year
_MAX_UNDER_WAY = 16  # beyond, what is asked for is not noted: whoever wants it will ask again
_AGAIN_SECONDS = 20.0  # for what failed; Amazon SNS tries again after 20 s
_MAX_FAILED = 256
_PAUSE_SECONDS = 2.0  # between tries, times the number of the try


class Fetcher:
    """What was fetched, and what is being fetched. One for a process; ``run`` has an owner."""

    def __init__(
        self,
        allowed: Callable[[str], bool],
        *,
        exactly: Collection[str] = (),
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``allowed``: whether a URL (https, no port, no user) may be asked for; ``exactly``: those that the operator
        named, which may have a port. Anything else is ignored.

        ``transport`` and ``clock`` are for tests, which reach a server of their own with it.
        """
        self._allowed = allowed
        self._exactly = frozenset(filter(None, exactly))
        self._transport = transport
        self._clock = clock
        self._lock = threading.Lock()  # providers verify large posts in threads
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()  # and when it came
        self._under_way: dict[str, int] = {}  # tries left; 0: a task has it
        self._failed: OrderedDict[str, float] = OrderedDict()  # not before
        self._settled: dict[str, asyncio.Event] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._log = structlog.get_logger()

    def cached(self, url: str, within_seconds: float = math.inf) -> bytes | None:
        """The body behind the URL, fetched within that time; None when it is not here, and it is then asked for.

        From any thread.
        """
        with self._lock:
            found, came = self._kept.get(url, (None, 0.0))
            if found is not None and self._clock() - came <= within_seconds:
                self._kept.move_to_end(url)
                return found
        self.ask(url, within_seconds=within_seconds)
        return None

    def ask(self, url: str, *, tries: int = 1, within_seconds: float = math.inf) -> None:
        """Has the URL fetched, soon, if it may be and was not within that time. Never waits. From any thread."""
        if not (url in self._exactly or (is_plain_https(url) and self._allowed(url))):
            return
        with self._lock:
            now = self._clock()
            known = url in self._kept and now - self._kept[url][1] <= within_seconds
            early = now < self._failed.get(url, 0.0)
            if early or known or url in self._under_way or len(self._under_way) >= _MAX_UNDER_WAY:
                return
            self._under_way[url] = tries
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and the process ends too
                self._loop.call_soon_threadsafe(self._wake.set)

    async def settled(self, url: str) -> None:
        """Returns when nothing is under way for the URL; whether it came, :meth:`cached` says."""
        with self._lock:
            event = self._settled.setdefault(url, asyncio.Event()) if url in self._under_way else None
        if event is not None:
            await event.wait()

    async def run(self) -> None:
        """Fetches what is asked for until it is cancelled."""
        self._loop = asyncio.get_running_loop()
        self._wake.set()  # for what was asked before
        # A proxy that the environment names is used, but not in front of a transport of a test.
        client = httpx2.AsyncClient(
            transport=self._transport,
            timeout=_SECONDS,
            follow_redirects=False,
            trust_env=self._transport is None,
            headers={"accept-encoding": "identity"},
        )
        async with client, asyncio.TaskGroup() as tasks:
            while True:
                await self._wake.wait()
                self._wake.clear()
                for url, tries in self._taken():
                    tasks.create_task(self._work(client, url, tries))

    def _taken(self) -> list[tuple[str, int]]:
        with self._lock:
            taken = [(url, tries) for url, tries in self._under_way.items() if tries]
            self._under_way.update((url, 0) for url, _ in taken)
        return taken

    async def _work(self, client: httpx2.AsyncClient, url: str, tries: int) -> None:
        body = None
        for number in range(1, tries + 1):
            body = await self._get(client, url)
            if body is not None or number == tries:
                break
            await asyncio.sleep(_PAUSE_SECONDS * number)
        with self._lock:
            self._under_way.pop(url)
            if body is None:
                self._failed[url] = self._clock() + _AGAIN_SECONDS
            else:
                self._kept[url] = body, self._clock()
            _cut(self._kept, _MAX_KEPT)
            _cut(self._failed, _MAX_FAILED)
            event = self._settled.pop(url, None)
        if event is not None:
            event.set()

    async def _get(self, client: httpx2.AsyncClient, url: str) -> bytes | None:
        """None: it failed, which is logged by host: a token may stand in the query."""
        reason = "too large"
        try:
            async with asyncio.timeout(_SECONDS), client.stream("GET", url) as response:
                if response.status_code != 200:
                    reason = f"status {response.status_code}"
                else:
                    body = bytearray()
                    async for chunk in response.aiter_raw():
                        body += chunk
                        if len(body) > _MAX_BYTES:
                            break
                    else:
                        self._log.info("fetch.done", host=urlsplit(url).hostname, size_bytes=len(body))
                        return bytes(body)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            reason = type(error).__name__
        self._log.warning("fetch.failed", host=urlsplit(url).hostname, reason=reason)
        return None


def _cut(kept: OrderedDict[str, Any], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
