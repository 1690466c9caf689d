"""API keys: made or given, kept as SHA-256 only, shown once.

A key has 192 random bits, so a plain hash is enough: there is no short secret behind it to be guessed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from relay import clock
from relay.accounts import redis_fields
from relay.accounts.applied import doubted_keys
from relay.accounts.rights import FIELDS, WHOLE, Rights, Scope, rights_of
from relay.errors import BadRequest, NotFound, Unauthorized
from relay.store import Client, Script, Store, keys
from relay.store.notices import Kind, Notice

FROM_FILE = "file"  # the source of keys that the accounts file brought, and brings again
_PREFIX = "rk_"
_ID_LENGTH = 12
# Before the hash in the account's set: it is being revoked, and counts as gone. It is listed until it is: a process may
# end between the two scripts, and a key that works but is not listed could not be revoked by its id.
_LEAVING = "-"
_HASHED = re.compile(r"sha256:([0-9a-f]{64})")
# Visible ASCII, so that it fits in a header and a query. How long a given key is, its giver decides: keys made
# here have 32 random characters.
_GIVEN = re.compile(r"[!-~]{1,200}")

_LIST = Script.load("accounts/lua/key_list.lua")
_ADD = Script.load("accounts/lua/key_add.lua")
_LEAVE = Script.load("accounts/lua/key_leave.lua")
_SUSPEND = Script.load("accounts/lua/key_suspend.lua")
_REVOKE = Script.load("accounts/lua/key_revoke.lua")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What may be shown of a key: never the key itself."""

    id: str  # the first 12 hex digits of its SHA-256
    label: str  # "" when it has none
    source: str  # who brought it: FROM_FILE, "cli", "api", …
    created_ms: int  # Unix time in milliseconds
    hash: str = field(repr=False)  # SHA-256, hex
    scope: Scope


@dataclass(frozen=True, slots=True)
class NewKey:
    """The answer to ``add``; the only place where a generated key is ever seen."""

    id: str
    key: str | None = field(repr=False)  # None when the caller gave the key, or its hash


class ApiKeys:
    """All API keys. Raises Unavailable when Redis is away, from every method."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(
        self,
        account_id: str,
        key: str | None = None,
        *,
        label: str = "",
        source: str = "cli",
        limit: int = 0,
        scope: Scope = WHOLE,
    ) -> NewKey:
        """Gives an account one more key: a new one, ``key``, or the key of the hash ``sha256:<64 hex>``.

        ``limit``: how many keys the account may then have; 0 = any number. A key that the account has already stays as
        it is. Raises BadRequest: malformed, another account's, or one too many; NotFound: no such account.
        """
        made = _PREFIX + secrets.token_urlsafe(24) if key is None else None
        key_hash = hash_of(made or key or "")
        async with self._store.call() as client:
            exists, disabled = await self._store.ask(
                ("EXISTS", keys.account(account_id)), ("HGET", keys.account(account_id), "disabled")
            )
            if not exists:
                raise NotFound(f"there is no account {account_id}")
            # The set first: a key that works but is not listed could not be revoked by its id.
            listed = [keys.account_keys(account_id)]
            if not await self._store.run(_LIST, keys=listed, args=[key_hash, limit]):
                raise BadRequest(f"an account has at most {limit} API keys; revoke one first")
            fields = {"hash": key_hash, "label": label, "source": source, "created": str(clock.now_ms())}
            fields |= scope.members() | ({"suspended": "1"} if disabled else {})
            fields["account" if scope.whole and not disabled else "owner"] = account_id
            args = (account_id, *redis_fields.flat(fields))
            owner: bytes = await self._store.run(_ADD, keys=[keys.api_key(key_hash)], args=args)
            if owner.decode() != account_id:
                await client.srem(listed[0], key_hash)
                raise BadRequest("this key belongs to another account; each account needs its own", member="key")
        return NewKey(key_hash[:_ID_LENGTH], made)

    async def revoke(self, account_id: str, key: str, *, last: bool = True, token: str = "") -> ApiKey:
        """Ends a key of an account, given by its id or whole, and with it every socket that it opened.

        ``last``: whether it may be the only one. ``token``: of the application of the accounts file that revokes it,
        see applied.py. Raises NotFound; BadRequest: it is, and may not.
        """
        key_hash = hash_key(key)
        async with self._store.call() as client:
            rows = await _rows(client, account_id)
            found = [row for row in rows if key in (row.id, row.hash) or row.hash == key_hash]
            for row in found:
                # One that may less makes no others.
                others = [other.hash for other in rows if other is not row and other.scope.whole]
                await _revoke(self._store, account_id, row.hash, [row.hash] if last else others, token)
        if not found:
            raise NotFound(f"account {account_id} has no such key")
        return found[0]

    async def list(self, account_id: str) -> list[ApiKey]:
        """The keys of an account, oldest first; [] for an account that does not exist."""
        async with self._store.call() as client:
            return await _rows(client, account_id)

    async def rights(self, key: str) -> Rights:
        """What a key may do. Takes any text. Raises Unauthorized: it is none, or none any more."""
        key_hash = hash_key(key)
        async with self._store.call() as client:
            row = cast("list[bytes | None]", await client.hmget(keys.api_key(key_hash), list(FIELDS)))
        return rights_of(key_hash, row, now_ms=clock.now_ms())

    async def find(self, key: str) -> str | None:
        """The account id of a key that works; None when there is no such key. Takes any text."""
        try:
            return (await self.rights(key)).account_id
        except Unauthorized:
            return None

    async def has_from_file(self, account_id: str) -> bool:
        """Whether an accounts file brought one of the account's keys."""
        return any(row.source == FROM_FILE for row in await self.list(account_id))

    async def suspend(self, account_id: str, *, on: bool) -> None:
        """Has no key of an account work any more, and ends their sockets; or all of them work again."""
        for row in await self.list(account_id):
            notice = Notice(Kind.KEY, row.hash).encode().decode()
            args = (account_id, keys.CONTROL, notice, int(on))
            await self._store.run(_SUSPEND, keys=[keys.api_key(row.hash)], args=args)


def hash_key(key: str) -> str:
    """SHA-256 of a key, 64 hex digits. Takes any text, lone surrogates included."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def hash_of(key: str) -> str:
    """The hash of a key as an operator gives it: ``sha256:<hex>``, or the key. Raises BadRequest."""
    if hashed := _HASHED.fullmatch(key):
        return hashed[1]
    if key.startswith("sha256:"):
        raise BadRequest("a key hash is sha256: and 64 lower-case hex digits", member="key")
    if not _GIVEN.fullmatch(key):
        raise BadRequest("a key is 1 to 200 characters of visible ASCII, without spaces", member="key")
    return hash_key(key)


async def _revoke(store: Store, account_id: str, key_hash: str, left: Sequence[str], token: str) -> None:
    """``left``: as of the first script, which decides for all who revoke keys of the account at the same time."""
    listed, mark = keys.account_keys(account_id), _LEAVING + key_hash
    if not await store.run(_LEAVE, keys=[listed], args=[key_hash, mark, *left]):
        raise BadRequest(
            "this is the only key of the account; make another first (POST /api/keys), then revoke this one"
        )
    notice = Notice(Kind.KEY, key_hash).encode().decode()
    names = [keys.api_key(key_hash), *doubted_keys(store)]
    await store.run(_REVOKE, keys=names, args=[account_id, keys.CONTROL, notice, FROM_FILE, token])
    await store.ask(("SREM", listed, mark))


async def _rows(client: Client, account_id: str) -> list[ApiKey]:
    members = await redis_fields.members(client, keys.account_keys(account_id))
    hashes = sorted({member.removeprefix(_LEAVING) for member in members})
    async with client.pipeline(transaction=False) as pipe:
        for key_hash in hashes:
            pipe.hgetall(keys.api_key(key_hash))
        rows = cast("list[redis_fields.Fields]", await pipe.execute())
    mine = [
        _api_key(key_hash, fields)
        for key_hash, fields in zip(hashes, rows, strict=True)
        if account_id in (redis_fields.text(fields, "account"), redis_fields.text(fields, "owner"))
    ]
    return sorted(mine, key=lambda row: (row.created_ms, row.id))


def _api_key(key_hash: str, fields: redis_fields.Fields) -> ApiKey:
    return ApiKey(
        key_hash[:_ID_LENGTH],
        redis_fields.text(fields, "label"),
        redis_fields.text(fields, "source"),
        redis_fields.number(fields, "created"),
        key_hash,
        Scope(
            redis_fields.text(fields, "read_only") == "1",
            redis_fields.text(fields, "address"),
            redis_fields.number(fields, "expires") if b"expires" in fields else 0,
        ),
    )
