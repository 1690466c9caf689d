"""What an account keeps altogether: beyond its bytes the oldest of its letters go, whichever inbox they are in.

publish.lua tells what the account keeps with each letter, so nobody has to ask while there is room. Starred messages
stay, and what they take is not there for others. On a cluster there are no counts of accounts, and no such limit.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from relay.errors import Unavailable
from relay.metrics import Metrics
from relay.store import Script, Store, keys

log = structlog.get_logger()

_ROOM = Script.load("letters/lua/room.lua")
_BELOW = 20  # room is made for a twentieth of the limit at once, so that it is made seldom
_SMALL_BYTES = 1024 * 1024  # an account that keeps less is not asked about: no limit may be lower
_KNOWN_SECONDS = 60.0  # for which an account's own limit, and its starred messages, are believed
_MAX_KNOWN = 10_000  # accounts
_PAGE = 500  # inboxes of one question
_OLDEST = 1_000  # inboxes that are emptied in one go
_STARRED_INBOXES = 1_000  # that are looked at; the limits of one bound the rest
_CALLS = 5_000  # of the script in one go; the next letter goes on


class Journal(Protocol):
    """Who tells the account; the recorder of activity is it."""

    def trimmed(self, account: str, letters: int, size_bytes: int, limit_bytes: int) -> None:
        """Its oldest mail made room."""


@dataclass(frozen=True, slots=True)
class _Known:
    limit_bytes: int  # of letters: starred messages are off
    until: float  # monotonic


class AccountRoom:
    """One for a process. :meth:`kept` never raises: the letter is in Redis, and room can be made with the next."""

    def __init__(self, store: Store, *, limit_bytes: int, journal: Journal, metrics: Metrics) -> None:
        """``store`` has a queue of its own. ``limit_bytes``: of an account that has no limit of its own."""
        self._store = store
        self._limit_bytes = limit_bytes
        self._journal = journal
        self._metrics = metrics
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._making: dict[str, asyncio.Event] = {}

    async def kept(self, account: str, size_bytes: int) -> None:
        """An account keeps so many bytes of letters now. Returns when there is room again."""
        if size_bytes <= _SMALL_BYTES:
            return
        try:
            known = await self._about(account)
            if size_bytes > known.limit_bytes:
                await self._make_alone(account, size_bytes, known.limit_bytes)
        except Unavailable as error:
            log.info("account.no_room_made", account=account, error=str(error))

    async def _about(self, account: str) -> _Known:
        known = self._known.get(account)
        if known is None or known.until < time.monotonic():
            [own] = await self._store.ask(("HGET", keys.account(account), "account_bytes"))
            limit_bytes = int(own or self._limit_bytes) - await self._starred_bytes(account)
            known = _Known(max(limit_bytes, 0), time.monotonic() + _KNOWN_SECONDS)
            self._known[account] = known
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        return known

    async def _starred_bytes(self, account: str) -> int:
        total = 0
        [inboxes] = await self._store.ask(("ZRANGE", keys.account_starred(account), 0, _STARRED_INBOXES - 1))
        for inbox in (one.decode() for one in inboxes):
            [fields] = await self._store.ask(("HKEYS", keys.starred(inbox)))
            mine = [one.decode() for one in fields if one.endswith(f" {account}".encode())]
            if mine:
                rows = [("HSTRLEN", keys.starred(inbox), one) for one in mine]
                letters = [("STRLEN", keys.starred_letter(inbox, one)) for one in mine]
                total += sum(map(int, await self._store.ask(*rows, *letters)))
        return total

    async def _make_alone(self, account: str, size_bytes: int, limit_bytes: int) -> None:
        """Who comes while room is being made waits for it."""
        if under_way := self._making.get(account):
            await under_way.wait()
            return
        self._making[account] = asyncio.Event()
        try:
            await self._make(account, size_bytes - limit_bytes + limit_bytes // _BELOW, limit_bytes)
        finally:
            self._making.pop(account).set()

    async def _make(self, account: str, wanted_bytes: int, limit_bytes: int) -> None:
        heap = await self._oldest(account)
        heapq.heapify(heap)
        gone_bytes = gone_letters = 0
        for _ in range(_CALLS):
            if not heap or gone_bytes >= wanted_bytes:
                break
            at_ms, inbox = heapq.heappop(heap)
            until_ms = max(heap[0][0], at_ms) if heap else 2**53
            names = (keys.index(inbox), keys.letter(inbox, ""), keys.meta(inbox))
            args = (account, until_ms, wanted_bytes - gone_bytes, keys.ACCOUNT_KEPT)
            size_bytes, letters, next_ms = await self._store.run(_ROOM, keys=names, args=args)
            gone_bytes, gone_letters = gone_bytes + size_bytes, gone_letters + letters
            if int(next_ms) >= 0:
                heapq.heappush(heap, (int(next_ms), inbox))
        self._tell(account, gone_letters, gone_bytes, limit_bytes)

    def _tell(self, account: str, letters: int, size_bytes: int, limit_bytes: int) -> None:
        if letters:
            self._metrics.trimmed.inc(letters)
            self._journal.trimmed(account, letters, size_bytes, limit_bytes)
            log.info("account.trimmed", account=account, letters=letters, size_bytes=size_bytes)

    async def _oldest(self, account: str) -> list[tuple[int, str]]:
        """When the oldest letter came, and the inbox, of those with the oldest letters."""
        found: list[tuple[int, str]] = []
        async for some in self._inboxes(account):
            metas = await self._store.ask(*(("HMGET", keys.meta(inbox), "oldest", "letters") for inbox in some))
            found += [
                (int(oldest or 0), inbox)
                for inbox, (oldest, letters) in zip(some, metas, strict=True)
                if int(letters or 0) > 0
            ]
            found = heapq.nsmallest(_OLDEST, found)
        return found

    async def _inboxes(self, account: str) -> AsyncIterator[Sequence[str]]:
        """Those of its addresses, and of its domains; some twice."""
        [domains] = await self._store.ask(("SMEMBERS", keys.account_domains(account)))
        lists = [keys.account_addresses(account), *(keys.domain_inboxes(name.decode()) for name in domains)]
        for name in lists:
            start = 0
            while page := (await self._store.ask(("ZRANGE", name, start, start + _PAGE - 1)))[0]:
                yield list(dict.fromkeys(inbox.decode() for inbox in page))
                start += _PAGE
