"""Accounts: who may reserve addresses, and how many."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from relay import clock
from relay.accounts import redis_fields
from relay.accounts.applied import doubted_keys
from relay.errors import BadRequest, NotFound
from relay.store import Script, Store, keys

DEFAULT_CREDITS = 50
BY_OPERATOR, BY_FILE = "operator", "file"
MAX_CREDITS = 1_000_000
ACCOUNT_ID = re.compile(r"[A-Za-z0-9._@+-]{1,64}")

_NOTED = " "

_CREATE = Script.load("accounts/lua/account_create.lua")
_UPDATE = Script.load("accounts/lua/account_update.lua")


@dataclass(frozen=True, slots=True)
class Account:
    """One account. ``address_credits`` is how many addresses it may reserve, used ones included."""

    id: str
    address_credits: int
    created_ms: int  # Unix time in milliseconds
    disabled_by: str = ""  # BY_OPERATOR, or BY_FILE that names it no more; "" = it is not disabled


class AccountBook:
    """All accounts. Raises Unavailable when Redis is away, from every method."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, account_id: str, *, address_credits: int = DEFAULT_CREDITS) -> Account:
        """A new account. Raises BadRequest: the id is malformed or taken."""
        if not await self._create(account_id, address_credits):
            raise BadRequest(f"account {account_id} exists already", member="id")
        return await self.get(account_id)

    async def put(self, account_id: str, *, address_credits: int = DEFAULT_CREDITS, token: str = "") -> Account:
        """Creates the account, or sets the credits of the one that there is. Raises BadRequest.

        ``token``: of the application of the accounts file that says so, see applied.py.
        """
        if not await self._create(account_id, address_credits):
            await self._update(account_id, address_credits, token)
        return await self.get(account_id)

    async def update(self, account_id: str, *, address_credits: int) -> Account:
        """Sets the credits; addresses beyond a lower number stay reserved. Raises BadRequest, NotFound."""
        _check(account_id, address_credits)
        await self._update(account_id, address_credits, token="")
        return await self.get(account_id)

    async def limit(self, account_id: str, *, account_bytes: int) -> None:
        """Sets how many bytes of mail the account keeps, as its file says; 0 = as all others."""
        name = keys.account(account_id)
        await self._store.ask(
            ("HSET", name, "account_bytes", account_bytes) if account_bytes else ("HDEL", name, "account_bytes")
        )

    async def note_disabled(self, account_id: str, by: str) -> None:
        """Notes that an account is disabled, and by whom; "" = it is not any more. Raises NotFound.

        Its keys are another matter: see closing.py.
        """
        await self.get(account_id)
        name = keys.account(account_id)
        await self._store.ask(("HSET", name, "disabled", by) if by else ("HDEL", name, "disabled"))

    async def forget(self, account_id: str) -> None:
        """Removes an account of which nothing else is left; a file that names it brings it back at the next start."""
        await self._store.ask(("DEL", keys.account(account_id)))
        await self._store.ask(("DEL", keys.ACCOUNTS_DIGEST))
        await self._store.ask(("SREM", keys.ACCOUNTS, account_id))

    async def declared(self) -> set[str] | None:
        """The accounts that the accounts file named when it was applied last; None: nobody has noted that yet."""
        [known, ids] = await self._store.ask(
            ("EXISTS", keys.ACCOUNTS_DECLARED), ("SMEMBERS", keys.ACCOUNTS_DECLARED)
        )
        # One that is no id, so that no account at all is something else than nothing noted.
        return {one.decode() for one in ids} - {_NOTED} if known else None

    async def note_declared(self, named: Collection[str], gone: Collection[str]) -> None:
        """Notes which accounts the file names, and which no more."""
        await self._store.ask(("SADD", keys.ACCOUNTS_DECLARED, _NOTED, *named))
        if gone:
            await self._store.ask(("SREM", keys.ACCOUNTS_DECLARED, *gone))

    async def get(self, account_id: str) -> Account:
        """One account. Raises NotFound."""
        _check(account_id, 0)
        async with self._store.call() as client:
            fields = cast("redis_fields.Fields", await client.hgetall(keys.account(account_id)))
        if not fields:
            raise NotFound(f"there is no account {account_id}")
        return _account(account_id, fields)

    async def list(self) -> list[Account]:
        """All accounts, by id."""
        async with self._store.call() as client:
            ids = await redis_fields.members(client, keys.ACCOUNTS)
            async with client.pipeline(transaction=False) as pipe:
                for account_id in ids:
                    pipe.hgetall(keys.account(account_id))
                rows = await pipe.execute()
        # Without fields: its creation ended between the two writes.
        return [_account(account_id, fields) for account_id, fields in zip(ids, rows, strict=True) if fields]

    async def _update(self, account_id: str, address_credits: int, token: str) -> None:
        names = [keys.account(account_id), *doubted_keys(self._store)]
        if not await self._store.run(_UPDATE, keys=names, args=[address_credits, token]):
            raise NotFound(f"there is no account {account_id}")

    async def _create(self, account_id: str, address_credits: int) -> bool:
        _check(account_id, address_credits)
        # The list first: an account that works but is not listed could not be found again.
        await self._store.ask(("SADD", keys.ACCOUNTS, account_id))
        args = (address_credits, clock.now_ms())
        return bool(await self._store.run(_CREATE, keys=[keys.account(account_id)], args=args))


def _check(account_id: str, address_credits: int) -> None:
    if not ACCOUNT_ID.fullmatch(account_id):
        raise BadRequest("an account id is 1 to 64 characters of A-Z a-z 0-9 . _ @ + -", member="id")
    if not 0 <= address_credits <= MAX_CREDITS:
        raise BadRequest(f"address credits are 0 to {MAX_CREDITS}", member="address_credits")


def _account(account_id: str, fields: redis_fields.Fields) -> Account:
    return Account(
        account_id,
        redis_fields.number(fields, "address_credits"),
        redis_fields.number(fields, "created"),
        redis_fields.text(fields, "disabled"),
    )
