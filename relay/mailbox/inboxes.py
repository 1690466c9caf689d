"""Which inboxes an account has, and the way to what Redis holds of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from relay.address import domain_of
from relay.errors import Unauthorized, Unavailable
from relay.letters.version_0_2 import adopt
from relay.store import Command, Script, Store, keys

INBOXES = 5000  # of one account that are looked at for one answer; the others have older mail, or are not named
_AT_ONCE = 500  # questions to Redis, some 20 ms
_CLOCKS_DIFFER_MS = 60_000  # on a cluster our own clock writes the index of a domain
_ADOPT = b"adopt"  # what scripts.py says where there are letters of version 0.2
_TRIES = 4  # a process of that version may bring another meanwhile

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Inbox:
    """An inbox of the account that asks."""

    address: str
    newest_ms: int = 0  # Unix time; nothing in it is newer
    since_ms: int = 0  # Unix time; what is older may be somebody else's


@dataclass(frozen=True, slots=True)
class Found:
    """Inboxes of an account."""

    inboxes: list[Inbox]
    all: bool  # False: the account has more
    newest: bool = True  # whether those that are left out have older mail than these


class ScriptOf(NamedTuple):
    """One of scripts.py, for an inbox."""

    script: Script
    inbox: str
    args: Sequence[str | int]


class Inboxes:
    """Every method raises Unavailable."""

    def __init__(self, store: Store, *, keep_seconds: int, most: int = INBOXES) -> None:
        """``most``: inboxes of one account that are looked at for one answer."""
        self._store = store
        self._most = most
        self._keep_seconds = keep_seconds
        self._accounts = "" if store.clustered else keys.ACCOUNT_KEPT

    async def ask(self, *commands: Command) -> list[Any]:
        """The replies to some commands."""
        return await self._store.ask(*commands)

    async def run(self, script: Script, inbox: str, account_id: str, *args: str | int) -> Any:
        """The reply of one of scripts.py."""
        [reply] = await self.run_all(account_id, [ScriptOf(script, inbox, args)])
        return reply

    async def run_all(self, account_id: str, scripts: Sequence[ScriptOf]) -> list[Any]:
        """The replies of some of scripts.py, in order."""
        replies = await self.ask(*(self._call(account_id, one) for one in scripts))
        for _ in range(_TRIES):
            old = [at for at, reply in enumerate(replies) if reply == _ADOPT]
            if not old:
                return replies
            for at in old:
                await self.adopt(scripts[at].inbox)
            again = await self.ask(*(self._call(account_id, scripts[at]) for at in old))
            for at, reply in zip(old, again, strict=True):
                replies[at] = reply
        raise Unavailable("letters of an older version keep coming; try again")

    async def adopt(self, inbox: str) -> None:
        """Takes the letters of version 0.2 into the index."""
        await adopt(self._store, inbox, keep_seconds=self._keep_seconds)

    def _call(self, account_id: str, one: ScriptOf) -> Command:
        """As find.lua has its keys and arguments."""
        inbox = one.inbox
        names = (
            *(kind(inbox) for kind in (keys.index, keys.flags, keys.starred, keys.meta)),
            *(keys.letter(inbox, ""), keys.starred_letter(inbox, ""), keys.deleted(inbox, "")),
            *(keys.letterbox(inbox), keys.letter_ids(inbox)),
        )
        fixed = (account_id, keys.inbox_tag(inbox), self._accounts, self._keep_seconds * 1000)
        return one.script.call(names, (*fixed, *one.args))

    async def mine(self, account_id: str, address: str) -> Inbox:
        """The inbox of an address. Raises Unauthorized: it is not the account's."""
        return checked(account_id, address, *await self.ask(*owners(address)))

    async def check_domain(self, account_id: str, domain: str) -> int:
        """Since when, Unix time in milliseconds, the domain is the account's. Raises Unauthorized: it is not."""
        [(owner, since)] = await self.ask(("HMGET", keys.domain(domain), "owner", "since"))
        if (owner or b"").decode() != account_id:
            raise Unauthorized(f"{domain} is not a domain of this account")
        return int(since or 0)

    async def of_domain(self, account_id: str, domain: str) -> Found:
        """Those of a domain, starred ones included, newest mail first. Raises Unauthorized: not the account's."""
        since_ms = await self.check_domain(account_id, domain)
        found = await self._mine_of(account_id, domain, since_ms)
        starred = [inbox for inbox in await self.with_stars(account_id) if domain_of(inbox.address) == domain]
        return self._newest([*found.inboxes, *starred], whole=found.all)

    async def of_account(self, account_id: str) -> Found:
        """All of an account: of its addresses, of its domains, and those with starred messages."""
        members, domains = await self.ask(
            ("ZRANGE", keys.account_addresses(account_id), 0, self._most),
            ("SMEMBERS", keys.account_domains(account_id)),
        )
        inboxes = await self._reserved(account_id, [member.decode() for member in members])
        names = sorted(name.decode() for name in domains)
        rows = await self.ask(*(("HMGET", keys.domain(name), "owner", "since") for name in names)) if names else []
        # Addresses come in the order in which they were reserved: those left out may have newer mail.
        newest = whole = len(members) <= self._most
        for name, (owner, since) in zip(names, rows, strict=True):
            if (owner or b"").decode() == account_id:
                found = await self._mine_of(account_id, name, int(since or 0))
                inboxes += found.inboxes
                whole = whole and found.all
        found = self._newest([*inboxes, *await self.with_stars(account_id)], whole=whole)
        return replace(found, newest=newest)

    async def with_stars(self, account_id: str) -> list[Inbox]:
        """Those in which the account may have starred messages."""
        [scored] = await self.ask(("ZRANGE", keys.account_starred(account_id), 0, -1, "WITHSCORES"))
        times = dict(_scored(scored))
        found: list[Inbox] = []
        for some in _groups(list(times)):
            replies = await self.ask(*(command for address in some for command in owners(address)))
            for address, owner, row in zip(some, replies[::2], replies[1::2], strict=True):
                if (owner or row[0] or b"").decode() == account_id:
                    since_ms = int(row[1] or 0) if owner is None else 0
                    found.append(Inbox(address, times[address], since_ms))
        return found

    async def indexed(self, domain: str, start: int, count: int, *, since_ms: int = 0) -> list[Inbox]:
        """Inboxes of a domain that may have letters, from the ``start``-th on, newest mail first."""
        index = keys.domain_inboxes(domain)
        [scored] = await self.ask(("ZREVRANGEBYSCORE", index, "+inf", "-inf", "WITHSCORES", "LIMIT", start, count))
        later_ms = _CLOCKS_DIFFER_MS if self._store.clustered else 0
        return [Inbox(address, ms + later_ms, since_ms) for address, ms in _scored(scored)]

    async def _mine_of(self, account_id: str, domain: str, since_ms: int) -> Found:
        """Indexed inboxes of an account's domain, without those that others reserved."""
        indexed = await self.indexed(domain, 0, self._most + 1, since_ms=since_ms)
        found: list[Inbox] = []
        for some in _groups(indexed):
            owners_of = await self.ask(*(("HGET", keys.address(inbox.address), "owner") for inbox in some))
            found += [
                inbox
                for inbox, owner in zip(some, owners_of, strict=True)
                if owner is None or owner.decode() == account_id
            ]
        return Found(found, len(indexed) <= self._most)

    async def _reserved(self, account_id: str, addresses: Sequence[str]) -> list[Inbox]:
        """Those of the addresses that the account has, and that got mail."""
        found: list[Inbox] = []
        for some in _groups(addresses):
            replies = await self.ask(
                *(("HGET", keys.address(address), "owner") for address in some),
                *(("HGET", keys.meta(address), "ms") for address in some),
            )
            for address, owner, ms in zip(some, replies, replies[len(some) :], strict=False):
                if ms is not None and (owner or b"").decode() == account_id:
                    found.append(Inbox(address, int(ms)))
        return found

    def _newest(self, inboxes: Iterable[Inbox], *, whole: bool) -> Found:
        """Each once, newest mail first, and no more than are looked at. ``whole``: there are no others."""
        known: dict[str, Inbox] = {}
        for inbox in sorted(inboxes, key=lambda inbox: inbox.newest_ms, reverse=True):
            known.setdefault(inbox.address, inbox)
        found = list(known.values())
        return Found(found[: self._most], whole and len(found) <= self._most)


def owners(address: str) -> tuple[Command, Command]:
    """Two questions to Redis; :func:`checked` takes the replies."""
    return ("HGET", keys.address(address), "owner"), ("HMGET", keys.domain(domain_of(address)), "owner", "since")


def checked(account_id: str, address: str, owner: bytes | None, domain: list[bytes | None]) -> Inbox:
    """The inbox, when it is the account's. A reservation decides alone.

    Raises Unauthorized, with one text for what is another's, what is free and what cannot be.
    """
    domain_owner, since = domain
    if (owner or domain_owner or b"").decode() != account_id:
        raise Unauthorized(f"{address} is not an address of this account")
    # The letters of a reserved address are its owner's, all of them (accounts/address_scripts.py).
    return Inbox(address, since_ms=int(since or 0) if owner is None else 0)


def _groups(items: Sequence[_Item]) -> Iterable[Sequence[_Item]]:
    return (items[at : at + _AT_ONCE] for at in range(0, len(items), _AT_ONCE))


def _scored(reply: list[Any]) -> list[tuple[str, int]]:
    """Members and scores: pairs in RESP3, one after the other in RESP2."""
    flat = [part for pair in reply for part in pair] if reply and isinstance(reply[0], list) else reply
    return [(member.decode(), int(float(score))) for member, score in zip(flat[::2], flat[1::2], strict=True)]
