"""Whose an event is that only names an inbox, and who should hear of mail that just missed an address of his.

Asked in the background, for all events of a batch in one round trip. What Redis refuses to say is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from relay.activity.backlog import Entry
from relay.activity.kinds import Kind, encoded
from relay.activity.near_misses import alike, nearest, plain_forms
from relay.activity.per_minute import PerMinute
from relay.address import domain_of
from relay.store import Command, Store, keys

_NEAR_MISSES_A_MINUTE = 30  # of an account
_ADDRESSES = 1000  # of an account that are compared


class Owners:
    """Raises Unavailable when Redis is away, from :meth:`resolve`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._near_misses = PerMinute(_NEAR_MISSES_A_MINUTE)

    async def resolve(self, entries: Sequence[Entry]) -> list[Entry]:
        """The same entries with their accounts, as far as there are any; behind mail that missed the near misses."""
        unknown = [entry for entry in entries if entry.inbox and not entry.account]
        owners = await self._owners(unknown)
        unheard = {entry.account for entry in entries if entry.missed and entry.account}
        addresses = await self._addresses(account for account in unheard if self._near_misses.left(account))
        settled: list[Entry] = []
        for entry in entries:
            account = entry.account or owners.get(entry.inbox, "")
            settled.append(entry if account == entry.account else entry._replace(account=account))
            if entry.missed and not account:
                settled += self._plainly_meant(entry, owners)
            elif entry.missed and account in addresses and (near := nearest(entry.inbox, addresses[account])):
                settled.append(_near_miss(entry, near, account))
        return settled

    def _plainly_meant(self, entry: Entry, owners: Mapping[str, str]) -> list[Entry]:
        """At most one near miss: of the account that has a plain form of the address."""
        meant = next((form for form in plain_forms(entry.inbox) if owners.get(form)), "")
        account = owners.get(meant, "")
        return [_near_miss(entry, meant, account)] if account and self._near_misses.left(account) else []

    async def _owners(self, unknown: Sequence[Entry]) -> dict[str, str]:
        """By address, of each inbox and, where the mail missed, of its plain forms."""
        forms = [form for entry in unknown if entry.missed for form in plain_forms(entry.inbox)]
        wanted = list(dict.fromkeys([*(entry.inbox for entry in unknown), *forms]))
        questions: list[Command] = []
        for inbox in wanted:
            questions += [("HGET", keys.address(inbox), "owner"), ("HGET", keys.domain(domain_of(inbox)), "owner")]
        replies = await self._store.ask_each(*questions) if questions else []
        pairs = zip(wanted, replies[::2], replies[1::2], strict=True)
        return {inbox: _text(of_address) or _text(of_domain) for inbox, of_address, of_domain in pairs}

    async def _addresses(self, accounts: Iterable[str]) -> dict[str, dict[str, list[str]]]:
        """By account, as :func:`nearest` takes them."""
        wanted = list(accounts)
        questions = [("ZRANGE", keys.account_addresses(account), 0, _ADDRESSES - 1) for account in wanted]
        replies = await self._store.ask_each(*questions) if questions else []
        return {
            account: alike(map(_text, reply))
            for account, reply in zip(wanted, replies, strict=True)
            if not isinstance(reply, Exception)
        }


def _near_miss(entry: Entry, near: str, account: str) -> Entry:
    mail = orjson.loads(entry.encoded)
    members = {"near": near, "sender": mail.get("sender", "")}
    return Entry(account, encoded(mail["time"], Kind.NEAR_MISS, entry.inbox, members))


def _text(reply: Any) -> str:
    return reply.decode() if isinstance(reply, bytes) else ""
