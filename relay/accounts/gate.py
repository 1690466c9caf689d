"""Who may come in: the one place that answers for sockets and for REST."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import cast

from relay import clock
from relay.accounts.api_keys import ApiKeys, hash_key
from relay.accounts.rights import FIELDS, Rights, rights_of
from relay.accounts.wrong_keys import WrongKeys
from relay.errors import FORBIDDEN, UNAUTHORIZED, Refused, Unauthorized
from relay.store import Store, keys

__all__ = ["Gate", "hash_key"]


class Expiries:
    """A timer for each key that was let in and will expire: nobody else tells that its right has ended."""

    def __init__(self) -> None:
        self.ended: Callable[[str], None] = _nobody_listens
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def note(self, key_hash: str, expires_ms: int) -> None:
        """The key with this hash has been let in."""
        if key_hash not in self._timers:
            seconds = max(expires_ms - clock.now_ms(), 0) / 1000 + _AFTER_SECONDS
            self._timers[key_hash] = asyncio.get_running_loop().call_later(seconds, self._end, key_hash)

    def _end(self, key_hash: str) -> None:
        del self._timers[key_hash]
        self.ended(key_hash)


def _nobody_listens(_key_hash: str) -> None:
    pass


_AFTER_SECONDS = 0.01  # so that who asks then finds it expired


class Gate:
    """Every method raises Unavailable when Redis is away: nobody is let in on a guess."""

    def __init__(
        self,
        store: Store,
        api_keys: ApiKeys,
        wrong_keys: WrongKeys,
        *,
        restore: Callable[[], Awaitable[bool]],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        """``wrong_keys`` is for who asks, who knows the client: what is answered instead of another 401.

        ``restore`` puts back what a Redis that lost everything must hold; whether to ask it again. ``settled``
        returns when all is there that the operator declares. Both may raise Unavailable."""
        self._store = store
        self._keys = api_keys
        self.wrong_keys = wrong_keys
        self._restore = restore
        self._settled = settled
        self._expiries = Expiries()

    def on_expiry(self, ended: Callable[[str], None]) -> None:
        """``ended`` is called with the hash of each key that was let in here, at the time when it expires."""
        self._expiries.ended = ended

    async def rights_of(self, key: str) -> Rights:
        """What an API key may do, for REST. Takes any text. Raises Unauthorized.

        Not before all that the operator declares is there: REST would list half of it, and give the rest to others.
        """
        if not key:
            raise Unauthorized("no API key; send it in the header Mailsac-Key or Authorization: Bearer")
        try:
            rights = await self._keys.rights(key)
        except Unauthorized:
            if not await self._restore():
                raise
            rights = await self._keys.rights(key)
        await self._settled()
        return rights

    async def account_of(self, key: str) -> str:
        """The account id of an API key. Raises as :meth:`rights_of`."""
        return (await self.rights_of(key)).account_id

    async def admit(
        self, key_hash: str, claimed_account: str | None, addresses: Collection[str], domains: Collection[str]
    ) -> str:
        """The account id, when its key may listen to all of these; in one round trip to Redis.

        ``key_hash`` is of :func:`hash_key`, addresses and domains are canonical. Raises Refused: UNAUTHORIZED for
        the key, FORBIDDEN with each address and domain that is not the account's or is switched off. Whether
        another account has it is not told.
        """
        try:
            return await self._admit(key_hash, claimed_account, addresses, domains)
        except Refused:
            if not await self._restore():
                raise
        return await self._admit(key_hash, claimed_account, addresses, domains)

    async def _admit(
        self, key_hash: str, claimed_account: str | None, addresses: Collection[str], domains: Collection[str]
    ) -> str:
        wanted, whole = sorted(addresses), sorted(domains)
        key_row, *replies = await self._store.ask(
            ("HMGET", keys.api_key(key_hash), *FIELDS),
            *(("HMGET", keys.address(address), "owner", "enablews") for address in wanted),
            *(("HGET", keys.domain(domain), "owner") for domain in whole),
        )
        rights = _rights(key_hash, cast("list[bytes | None]", key_row), claimed_account)
        owner = rights.account_id.encode()
        problems = [_address_problem(*pair, owner) for pair in zip(wanted, replies, strict=False)]
        pairs = zip(whole, replies[len(wanted) :], strict=True)
        problems += ["" if found == owner else f"{domain}: not owned by this account" for domain, found in pairs]
        if rights.scope.address:
            problems = [
                rights.problem(name) or said for name, said in zip((*wanted, *whole), problems, strict=True)
            ]
        if any(problems):
            raise Refused(FORBIDDEN, "; ".join(filter(None, problems)), account=rights.account_id)
        if rights.scope.expires_ms:
            self._expiries.note(key_hash, rights.scope.expires_ms)
        return rights.account_id


def _rights(key_hash: str, key_row: list[bytes | None], claimed_account: str | None) -> Rights:
    try:
        rights = rights_of(key_hash, key_row, now_ms=clock.now_ms())
    except Unauthorized as error:
        raise Refused(UNAUTHORIZED, str(error)) from None
    if claimed_account is not None and claimed_account != rights.account_id:
        raise Refused(UNAUTHORIZED, "_id is not the account of this API key; leave it out or correct it")
    return rights


def _address_problem(address: str, row: list[bytes | None], owner: bytes) -> str:
    """What stands between the account and the mail of an address; "" when nothing does."""
    if row[0] != owner:
        return f"{address}: not reserved by this account"
    if row[1] != b"1":
        return f'{address}: forwarding is off; switch it on with PUT /api/addresses/{address} {{"enablews": true}}'
    return ""
