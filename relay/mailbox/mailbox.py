"""The inboxes of all accounts, each open to its owner alone: reading them."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from relay.letters.layout import Sealed, is_old
from relay.letters.retention import Retention
from relay.letters.sweeper import Sweeper
from relay.mailbox import scripts
from relay.mailbox.changes import Changes
from relay.mailbox.inboxes import INBOXES, Found, Inbox, Inboxes, ScriptOf, checked, owners
from relay.mailbox.newest_first import NewestFirst
from relay.mailbox.stars import Stars
from relay.mailbox.stored_message import (
    MessageSummary,
    StoredMessage,
    missing,
    parse_id,
)
from relay.message_id import MessageId
from relay.store import Script, Store, keys

_COUNTS_AT_ONCE = 100
_NOT_SWEPT, _FOREIGN = -1, -2  # first replies of scripts.COUNT and USAGE that are no numbers

Wanted = Callable[[MessageSummary], bool]


@dataclass(frozen=True, slots=True)
class Listing:
    """Messages, newest first."""

    entries: list[MessageSummary]
    whole: bool = True  # False: there was more to look through than may be for one answer


@dataclass(frozen=True, slots=True)
class Counts:
    """What some inboxes hold."""

    messages: int = 0
    unread: int = 0
    starred: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.messages + other.messages, self.unread + other.unread, self.starred + other.starred)


class Usage(NamedTuple):
    """What the letters of an account come to."""

    letters: int
    stored_bytes: int  # of rows and letters, as Redis has them


def _everything(_entry: MessageSummary) -> bool:
    return True


class Mailbox:
    """Addresses and domains given to it are canonical.

    Every method raises Unavailable, and Unauthorized: not the account's, with one text for all that may be so.
    """

    def __init__(
        self,
        store: Store,
        retention: Retention,
        *,
        starred_messages: int,
        starred_bytes: int,
        most_inboxes: int = INBOXES,
    ) -> None:
        """``store`` has a queue of its own: who reads a lot holds up nobody who publishes.

        ``starred_…``: limits of one inbox. ``most_inboxes``: of an account, that are looked at for one answer.
        """
        self._clustered = store.clustered
        keep_seconds = retention.seconds
        self._sweeper = Sweeper(store, retention)
        self._inboxes = Inboxes(store, keep_seconds=keep_seconds, most=most_inboxes)
        self.changes = Changes(self._inboxes, keep_messages=retention.messages, keep_seconds=keep_seconds)
        self.stars = Stars(
            self._inboxes, messages=starred_messages, size_bytes=starred_bytes, keep_seconds=keep_seconds
        )

    async def check(self, account_id: str, email: str) -> None:
        """Returns when the address is the account's: reserved by it, or free and in a domain of its own."""
        await self._inboxes.mine(account_id, email)

    async def letter(self, account_id: str, email: str, message_id: str) -> StoredMessage:
        """One message, whole. Raises BadRequest: a malformed id; NotFound."""
        message = parse_id(message_id)
        found = await self._letter(account_id, email, message)
        if found is None:  # a copy, or in the form of version 0.2
            field = f"{message} {account_id}"
            old, copy, row = await self._inboxes.ask(
                ("EXISTS", keys.letterbox(email)),
                ("GET", keys.starred_letter(email, field)),
                ("HGET", keys.starred(email), field),
            )
            if old:
                await self._inboxes.adopt(email)
                found = await self._letter(account_id, email, message)
            # In that version the row of what is starred was all of it.
            found = found or (row and (copy or (row if is_old(row) else None)))
        if not found:
            raise missing(email)
        return StoredMessage(message, email, account_id, Sealed.parse(found))

    async def _letter(self, account_id: str, email: str, message: MessageId) -> bytes | None:
        """A letter, sealed; None when the account has no such letter. Raises Unauthorized."""
        *owner, rows, letter = await self._inboxes.ask(
            *owners(email),
            ("XRANGE", keys.index(email), message.entry, message.entry),
            ("GET", keys.letter(email, message.place)),
        )
        checked(account_id, email, *owner)
        mine = any(owned_by.decode() == account_id for _, (_, owned_by, *_) in rows)
        return letter if mine and message.tag == keys.inbox_tag(email) else None

    async def entry(self, account_id: str, email: str, message_id: str) -> MessageSummary:
        """One message as lists show it. Raises as :meth:`letter`."""
        message = parse_id(message_id)
        inbox = await self._inboxes.mine(account_id, email)
        letters = NewestFirst(self._inboxes, account_id, [inbox], count=1, since_ms=message.ms, before=message)
        copies = NewestFirst(self._inboxes, account_id, [inbox], copies={inbox: [str(message).encode()]})
        for newest in (letters, copies):  # neither brings its bodies
            entry = await newest.next()
            if entry and entry.members["_id"] == message_id:
                return entry
        raise missing(email)

    async def entries(self, account_id: str, email: str, frames: Sequence[bytes]) -> list[MessageSummary]:
        """List entries for messages whose JSON, without what lists do not show, the caller has.

        Does not check permission.
        """
        if not frames:
            return []
        shown: list[dict[str, Any]] = [orjson.loads(frame) for frame in frames]
        ids = [members["_id"] for members in shown]
        flags, *starred = await self._inboxes.ask(
            ("HMGET", keys.flags(email), *ids),
            *(("HEXISTS", keys.starred(email), f"{message_id} {account_id}") for message_id in ids),
        )
        return [
            MessageSummary.of(email, members, flagged or b"", account_id if saved else None)
            for members, flagged, saved in zip(shown, flags, starred, strict=True)
        ]

    async def list(
        self,
        account_id: str,
        email: str,
        *,
        limit: int,
        skip: int = 0,
        before: MessageId | None = None,
        wanted: Wanted = _everything,
    ) -> Listing:
        """Messages of one inbox, from ``before`` (inclusive) back."""
        inbox = await self._inboxes.mine(account_id, email)
        newest = NewestFirst(self._inboxes, account_id, [inbox], count=limit + skip, before=before)
        return await _collect(newest, limit, skip, wanted)

    async def list_domain(
        self,
        account_id: str,
        domain: str,
        *,
        limit: int,
        skip: int = 0,
        before: MessageId | None = None,
        wanted: Wanted = _everything,
    ) -> Listing:
        """Messages of all inboxes of a domain."""
        found = await self._inboxes.of_domain(account_id, domain)
        return await self._list(account_id, found, limit, skip, wanted, before=before)

    async def overview(
        self, account_id: str, *, limit: int, skip: int = 0, since_ms: int = 0
    ) -> tuple[Listing, Counts]:
        """Messages of all inboxes of an account that came at that time (Unix) or later, and what all of them hold."""
        found = await self._inboxes.of_account(account_id)
        listing = await self._list(account_id, found, limit, skip, _everything, since_ms=since_ms)
        return listing, await self._count(account_id, found.inboxes)

    async def search(self, account_id: str, wanted: Wanted, *, limit: int) -> Listing:
        """Messages of all inboxes of an account."""
        found = await self._inboxes.of_account(account_id)
        return await self._list(account_id, found, limit, 0, wanted)

    async def list_starred(self, account_id: str, *, limit: int, skip: int = 0) -> Listing:
        """Starred messages of an account."""
        copies = await self.stars.copies(account_id)
        newest = NewestFirst(self._inboxes, account_id, list(copies), copies=copies)
        return await _collect(newest, limit, skip, _everything)

    async def _list(
        self,
        account_id: str,
        found: Found,
        limit: int,
        skip: int,
        wanted: Wanted,
        *,
        since_ms: int = 0,
        before: MessageId | None = None,
    ) -> Listing:
        newest = NewestFirst(self._inboxes, account_id, found.inboxes, since_ms=since_ms, before=before)
        listing = await _collect(newest, limit, skip, wanted)
        # A full page lacks nothing when the inboxes that were not looked at have older mail than those that were.
        enough = found.newest and len(listing.entries) == limit
        return Listing(listing.entries, listing.whole and (found.all or enough))

    async def count(self, account_id: str, email: str) -> Counts:
        """What one inbox holds."""
        return await self._count(account_id, [await self._inboxes.mine(account_id, email)])

    async def count_account(self, account_id: str) -> Counts:
        """What the inboxes of an account hold."""
        return await self._count(account_id, (await self._inboxes.of_account(account_id)).inboxes)

    async def _count(self, account_id: str, inboxes: Sequence[Inbox]) -> Counts:
        counts = Counts()
        async for inbox, messages, *rest in self._sums(scripts.COUNT, account_id, inboxes):
            if messages == _FOREIGN:
                counts += await self._looked_at(account_id, inbox)
            else:
                read, starred = rest
                counts += Counts(messages, messages - read, starred)
        return counts

    async def usage(self, account_id: str) -> Usage:
        """What the letters of an account come to; starred copies have limits of their own, and are not among them."""
        if not self._clustered:
            await self._sweeper.sweep()
            [kept] = await self._inboxes.ask(("HMGET", keys.ACCOUNT_KEPT % account_id, "letters", "bytes"))
            return Usage(*(int(value or 0) for value in kept))
        letters, stored_bytes = 0, 0
        found = await self._inboxes.of_account(account_id)
        async for _, *sums in self._sums(scripts.USAGE, account_id, found.inboxes):
            letters, stored_bytes = letters + sums[0], stored_bytes + sums[1]
        return Usage(letters, stored_bytes)

    async def _sums(
        self, script: Script, account_id: str, inboxes: Sequence[Inbox]
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Each inbox, and what the script replies of it: once more where too much was too old for one step."""
        left = deque(inboxes)
        while left:
            some = [left.popleft() for _ in range(min(len(left), _COUNTS_AT_ONCE))]
            calls = [ScriptOf(script, inbox.address, (inbox.since_ms,)) for inbox in some]
            for inbox, reply in zip(some, await self._inboxes.run_all(account_id, calls), strict=True):
                if reply[0] == _NOT_SWEPT:
                    left.append(inbox)
                else:
                    yield inbox, *reply

    async def _looked_at(self, account_id: str, inbox: Inbox) -> Counts:
        """Of an inbox whose domain has changed hands: one row after the other."""
        newest, counts = NewestFirst(self._inboxes, account_id, [inbox]), Counts()
        while entry := await newest.next():
            shown = entry.members
            counts += Counts(1, int(not shown["read"]), int(shown["savedBy"] is not None))
        return counts


async def _collect(newest: NewestFirst, limit: int, skip: int, wanted: Wanted) -> Listing:
    entries: list[MessageSummary] = []
    while len(entries) < limit and (entry := await newest.next()):
        if not wanted(entry):
            continue
        if skip:
            skip -= 1
        else:
            entries.append(entry)
    return Listing(entries, len(entries) == limit or not newest.exhausted)
