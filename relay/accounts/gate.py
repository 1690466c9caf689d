"""Who may come in: the one place that answers for sockets and for REST."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import cast

from relay.accounts.api_keys import FIELDS, ApiKeys, account_of_row, hash_key
from relay.accounts.wrong_keys import WrongKeys
from relay.errors import FORBIDDEN, UNAUTHORIZED, Refused, Unauthorized
from relay.store import Store, keys

__all__ = ["Gate", "hash_key"]

_UNKNOWN = "this API key is unknown or revoked"


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

    async def account_of(self, key: str) -> str:
        """The account id of an API key, for REST. Takes any text. Raises Unauthorized.

        Not before all that the operator declares is there: REST would list half of it, and give the rest to others.
        """
        if not key:
            raise Unauthorized("no API key; send it in the header Mailsac-Key or Authorization: Bearer")
        account_id = await self._keys.find(key)
        if account_id is None and await self._restore():
            account_id = await self._keys.find(key)
        if account_id is None:
            raise Unauthorized(_UNKNOWN)
        await self._settled()
        return account_id

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
        account_id = _account(key_hash, cast("list[bytes | None]", key_row), claimed_account)
        owner = account_id.encode()
        problems = [_address_problem(*pair, owner) for pair in zip(wanted, replies, strict=False)]
        pairs = zip(whole, replies[len(wanted) :], strict=True)
        problems += ["" if found == owner else f"{domain}: not owned by this account" for domain, found in pairs]
        if any(problems):
            raise Refused(FORBIDDEN, "; ".join(filter(None, problems)), account=account_id)
        return account_id


def _account(key_hash: str, key_row: list[bytes | None], claimed_account: str | None) -> str:
    account_id = account_of_row(key_hash, key_row)
    if account_id is None:
        raise Refused(UNAUTHORIZED, _UNKNOWN)
    if claimed_account is not None and claimed_account != account_id:
        raise Refused(UNAUTHORIZED, "_id is not the account of this API key; leave it out or correct it")
    return account_id


def _address_problem(address: str, row: list[bytes | None], owner: bytes) -> str:
    """What stands between the account and the mail of an address; "" when nothing does."""
    if row[0] != owner:
        return f"{address}: not reserved by this account"
    if row[1] != b"1":
        return f'{address}: forwarding is off; switch it on with PUT /api/addresses/{address} {{"enablews": true}}'
    return ""
