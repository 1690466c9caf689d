"""Accounts, their keys, addresses and domains, and who may listen to what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from relay import clock
from relay.accounts.accounts import AccountBook
from relay.accounts.addresses import Addresses
from relay.accounts.api_keys import ApiKeys
from relay.accounts.domains import Domains
from relay.accounts.gate import Gate, hash_key
from relay.accounts.rights import Scope, expiry
from relay.accounts.shared_domains import SharedDomains
from relay.accounts.txt import TxtResolver
from relay.accounts.wrong_keys import WrongKeys
from relay.address import canonical_address
from relay.errors import BadRequest
from relay.metrics import Metrics
from relay.settings import Settings
from relay.store import Store

__all__ = ["Accounts", "hash_key"]


async def _nothing_to_restore() -> bool:
    return False


async def _always_settled() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Accounts:
    """The parts of this room, built together; they hold nothing but the store."""

    accounts: AccountBook
    keys: ApiKeys
    addresses: Addresses
    domains: Domains
    gate: Gate

    async def scope(self, account_id: str, *, read_only: bool, address: str, expires: str) -> Scope:
        """What a new key may do, as a person says it: ``address`` "" = all, ``expires`` such as 30d, "" = never.

        Raises BadRequest: one of them is malformed, or the address is not reserved by the account.
        """
        bound = canonical_address(address) if address else ""
        if bound and (await self.addresses.get(account_id, bound)).owner != account_id:
            raise BadRequest(f"{bound} is not reserved by this account; reserve it first", member="address")
        return Scope(read_only, bound, expiry(expires, now_ms=clock.now_ms()))

    @classmethod
    def build(
        cls,
        store: Store,
        settings: Settings,
        *,
        restore: Callable[[], Awaitable[bool]] = _nothing_to_restore,
        settled: Callable[[], Awaitable[None]] = _always_settled,
        metrics: Metrics | None = None,
    ) -> Accounts:
        """Connects nothing yet. ``restore``, ``settled``: see Gate. ``metrics``: None = nobody reads them.

        Raises ConfigError: RELAY_DNS_SERVERS cannot be read.
        """
        keys = ApiKeys(store)
        addresses = Addresses(store, shared=SharedDomains(settings.domains, settings.reserved_names))
        wrong_keys = WrongKeys(metrics or Metrics(), max_per_minute=settings.max_refusals_per_minute)
        resolver = TxtResolver(settings.dns_servers)
        return cls(
            accounts=AccountBook(store),
            keys=keys,
            addresses=addresses,
            domains=Domains(store, addresses, resolver, shared=frozenset(settings.domains)),
            gate=Gate(store, keys, wrong_keys, restore=restore, settled=settled),
        )
