"""What the rooms tell, and the task that writes it: in batches, behind everybody's back.

Nothing here waits but :meth:`Recorder.run` and :meth:`Recorder.flush`, and nothing raises. While Redis is away events
wait, as many as the backlog takes; what had to go is counted, and said in an event of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from operator import attrgetter
from typing import Any

import structlog

from relay import clock
from relay.activity.backlog import Backlog, Entry
from relay.activity.journal import Journal
from relay.activity.kinds import Kind, encoded, shown
from relay.activity.owners import Owners
from relay.activity.per_minute import PerMinute
from relay.errors import Close, Unavailable
from relay.message_id import MessageId
from relay.metrics import Metrics
from relay.store import Store

log = structlog.get_logger()

_GATHER_SECONDS = 0.1  # what happens within it is written together
_PAUSE_SECONDS = 1.0  # before another try, when Redis is away
_LAST_SECONDS = 3.0  # for what is left when the process leaves
_AT_ONCE = 500  # events of one script call; some two milliseconds of Redis' time
_STRANGERS_A_MINUTE = 60  # events of one kind that belong to no account
_SHOWN_NAMES = 5
_FIRST = 0.5  # ms. Delivery may be recorded before `publish` returns; this keeps "received" ahead of "delivered".
_BY_ORDER = attrgetter("order")


def _told_nobody(_accounts: Collection[str]) -> None:
    pass


class Recorder:
    """One for each process. Texts of strangers may be given to it as they came; secrets and mail text must not."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        metrics: Metrics,
        *,
        on_written: Callable[[Collection[str]], None] = _told_nobody,
    ) -> None:
        """``on_written`` is told the accounts that have new events."""
        self._journal = journal
        self._owners = Owners(store)
        self._dropped = metrics.activity_dropped
        self._on_written = on_written
        self._backlog = Backlog()
        self._filled = asyncio.Event()
        self._writing = asyncio.Lock()
        self._strangers = PerMinute(_STRANGERS_A_MINUTE)

    def received(
        self,
        account: str,
        inbox: str,
        *,
        author: str,
        size_bytes: int,
        message_id: str,
        at_ms: int,
        duplicate: bool = False,
        heard: bool | None = None,
    ) -> None:
        """A mail is stored, since some time after ``at_ms`` (Unix time), and by now. ``account`` is "" when it is not
        known; ``heard``: whether any process listens, None = not known; ``duplicate``: it was stored before."""
        unheard = heard is False  # one event, not two: mail is what there is most of
        mail: dict[str, Any] = {"sender": shown(author), "size": size_bytes, "messageId": message_id}
        if duplicate:
            mail["duplicate"] = True
        event = encoded(at_ms, Kind.UNHEARD if unheard else Kind.RECEIVED, inbox, mail)
        self._put(Entry(account, event, at_ms - _FIRST, inbox, unheard))

    def refused(self, account: str, inbox: str, reason: str, *, author: str = "") -> None:
        """A mail is not taken for this recipient; ``account`` is "" when it is not known, or nobody's."""
        members = {"sender": shown(author), "reason": shown(reason)}
        if account:
            self._note(Kind.REFUSED, account, inbox, members)
        else:
            missed = reason == "not reserved"
            self._note_stranger(Kind.REFUSED, (reason,), members, inbox=shown(inbox), missed=missed)

    def refused_post(
        self, provider: str, status: int, reason: str, *, client: str = "", known: bool = True
    ) -> None:
        """A whole post is not taken: nobody knows whose mail is in it. ``known``: there is such a provider."""
        members = {"door": provider, "status": status, "reason": shown(reason), "client": shown(client)}
        self._note_stranger(Kind.REFUSED, (provider if known else "", status), members)

    def parked(self, provider: str, post_id: str, reason: str) -> None:
        """A post, or a part of one, cannot be read."""
        members = {"door": provider, "reason": shown(reason), "parked": post_id}
        self._note_stranger(Kind.REFUSED, (provider, "parked"), members)

    def delivered(self, account: str, inbox: str, message_id: MessageId, sockets: int, waits: int) -> None:
        """A mail was handed to so many sockets of this process, and woke so many requests that wait; to nobody is not
        worth an event."""
        if sockets or waits:
            members = {"messageId": str(message_id), "sockets": sockets}
            self._note(Kind.DELIVERED, account, inbox, members | ({"waits": waits} if waits else {}))

    def socket_opened(self, account: str, listens_to: Collection[str], *, client: str) -> None:
        """A socket listens."""
        self._note(Kind.SOCKET_OPENED, account, "", {"addresses": _some(listens_to), "client": shown(client)})

    def socket_refused(
        self, account: str, code: int, reason: str, *, client: str, asked_for: Collection[str] = ()
    ) -> None:
        """A socket may not listen; ``account`` is "" when its key is nobody's. ``code``: of the close, or of HTTP.
        ``asked_for``: canonical, as far as it got."""
        members = {"code": code, "reason": shown(reason), "addresses": _some(asked_for), "client": shown(client)}
        if account:
            self._note(Kind.SOCKET_REFUSED, account, "", members)
        else:
            self._note_stranger(Kind.SOCKET_REFUSED, (code,), members)

    def socket_closed(
        self, account: str, listened_to: Collection[str], close: Close | None, *, client: str
    ) -> None:
        """A socket that listened is no more; ``close`` is None when the client went by itself."""
        members: dict[str, Any] = {"code": close.code, "reason": close.reason} if close else {}
        members |= {"addresses": _some(listened_to), "client": shown(client)}
        self._note(Kind.SOCKET_CLOSED, account, "", members)

    def replayed(self, account: str, listens_to: Collection[str], messages: int) -> None:
        """A socket that resumed was sent so many messages; 0 is not worth an event."""
        if messages:
            self._note(Kind.REPLAYED, account, "", {"messages": messages, "addresses": _some(listens_to)})

    def gap(self, account: str, inbox: str | None, reason: str, *, listens_to: Collection[str] = ()) -> None:
        """Listeners of the account were told of a gap; ``inbox`` is None when it is not known any more, and then
        ``listens_to`` is what can be said."""
        members = {"reason": reason} if inbox else {"reason": reason, "addresses": _some(listens_to)}
        self._note(Kind.GAP, account, inbox or "", members)

    def trimmed(self, account: str, letters: int, size_bytes: int, limit_bytes: int) -> None:
        """The oldest mail of the account made room: it may keep ``limit_bytes``."""
        self._note(Kind.TRIMMED, account, "", {"messages": letters, "size": size_bytes, "limit": limit_bytes})

    def _note_stranger(
        self,
        kind: Kind,
        likeness: tuple[object, ...],
        members: dict[str, Any],
        *,
        inbox: str = "",
        missed: bool = False,
    ) -> None:
        left = self._strangers.left((kind, *likeness))
        if left:
            self._note(kind, "", inbox, members | {"cut": True} if left == 1 else members, missed=missed)

    def _note(
        self, kind: Kind, account: str, inbox: str, members: dict[str, Any], *, missed: bool = False
    ) -> None:
        at_ms = clock.now_ms()
        self._put(Entry(account, encoded(at_ms, kind, inbox, members), at_ms, inbox, missed))

    def _put(self, entry: Entry) -> None:
        if dropped := self._backlog.put(entry):
            self._dropped.inc(dropped)
        self._filled.set()

    async def run(self) -> None:
        """Writes as long as it runs; what is left is written when it is cancelled. Never returns."""
        try:
            while True:
                await self._filled.wait()
                await asyncio.sleep(_GATHER_SECONDS)
                # Not cut off between a question and its answer: nobody would know what is written.
                await asyncio.shield(flushing := asyncio.ensure_future(self._try_flush()))
                if not flushing.result():
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await self._try_flush()

    async def _try_flush(self) -> bool:
        try:
            await self.flush()
        except Unavailable:
            return False
        except Exception:  # what was taken is lost: it shall neither end the service nor be tried for ever
            log.exception("activity.failed")
            return False
        return True

    async def flush(self) -> None:
        """Returns when all that was told is written. Raises Unavailable; then it waits for another try."""
        async with self._writing:
            while taken := self._backlog.take(_AT_ONCE):
                taken.sort(key=_BY_ORDER)
                dropped = self._backlog.dropped.copy()
                try:
                    settled = [*_missing(dropped), *await self._owners.resolve(taken)]
                    await self._journal.write(settled)
                except Unavailable:
                    self._dropped.inc(self._backlog.put_back(taken))
                    raise
                self._backlog.told(dropped)
                self._on_written({entry.account for entry in settled})
            self._filled.clear()


def _missing(dropped: Mapping[str, int]) -> Iterator[Entry]:
    """What the accounts, and the operator, are told of events that had to go."""
    for account, count in dropped.items():
        yield Entry(account, encoded(clock.now_ms(), Kind.GAP, "", {"missing": count}))


def _some(names: Collection[str]) -> str:
    """The first few; concerns.py finds them again."""
    few = sorted(names)[:_SHOWN_NAMES]
    more = len(names) - len(few)
    return ", ".join(few) + (f" and {more} more" if more else "")
