"""Custom domains: added by anybody, owned by the first account that proves it in the DNS.

The hash of a domain exists only while somebody owns it, and its ``owner`` routes all mail of the domain. What an
account is asked to prove stands in a hash of its own, so that a pending claim stands in nobody's way.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from relay import clock
from relay.accounts import redis_fields
from relay.accounts.addresses import Addresses
from relay.accounts.api_keys import FROM_FILE
from relay.accounts.applied import doubted_keys
from relay.accounts.txt import NoRecords, TxtResolver
from relay.address import domain_of
from relay.errors import BadRequest, NotFound, Unauthorized
from relay.store import Client, Script, Store, keys
from relay.store.notices import Kind, Notice

TOKEN_PREFIX = "relay-verify="  # noqa: S105 - a label in public DNS, not a password
DOMAINS_LIMIT = 100  # of one account, pending ones included
_MISSING = "there is no such TXT record yet"

_OWN = Script.load("accounts/lua/domain_own.lua")
_DISOWN = Script.load("accounts/lua/domain_disown.lua")
_UPDATE = Script.load("accounts/lua/domain_update.lua")
_ADD = Script.load("accounts/lua/domain_add.lua")
_FORGET = Script.load("accounts/lua/domain_forget.lua")


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain that an account added."""

    name: str  # canonical
    owner: str  # account id; "" until verified
    verification_txt: str  # the TXT value to set at the domain
    last_verification_errors: str  # "" when there are none
    created_ms: int  # Unix time in milliseconds
    updated_ms: int

    @property
    def verified(self) -> bool:
        """Whether its mail is the account's."""
        return bool(self.owner)


class Domains:
    """All custom domains. Names given to it are canonical. Every method raises Unavailable."""

    def __init__(
        self, store: Store, addresses: Addresses, resolver: TxtResolver, *, shared: frozenset[str]
    ) -> None:
        self._store = store
        self._addresses = addresses
        self._resolver = resolver
        self._shared = shared

    async def add(self, account_id: str, name: str) -> Domain:
        """Notes a domain to be verified.

        Raises BadRequest: added already, shared by all, or too many; Unauthorized: another account owns it.
        """
        self._check_not_shared(name)
        async with self._store.call() as client:
            owner = cast("bytes | None", await client.hget(keys.domain(name), "owner"))
            if owner is not None and owner.decode() != account_id:
                raise Unauthorized(f"{name} belongs to another account")
        outcome = await _note(self._store, account_id, name)
        if outcome == b"there":
            raise BadRequest(f"{name} is added already; see its verificationTxt with GET /api/domains/{name}")
        if outcome == b"full":
            raise BadRequest(f"an account has at most {DOMAINS_LIMIT} domains; remove one first")
        return await self.get(account_id, name)

    async def declare(self, account_id: str, name: str, *, source: str = FROM_FILE) -> None:
        """Makes the account the owner because the operator's file says so, without asking the DNS.

        Raises BadRequest: shared by all; Unauthorized: another account owns it.
        """
        self._check_not_shared(name)
        await self._own(account_id, name, source=source)
        await _note(self._store, account_id, name, limit=2**31)

    async def verify(self, account_id: str, name: str) -> Domain:
        """Asks the DNS for the proof. What is wrong stands in ``last_verification_errors``.

        Raises NotFound: not added; Unauthorized: another account proved it first.
        """
        domain = await self.get(account_id, name)
        if domain.verified:
            return domain
        errors = await self._missing_proof(domain)
        if not errors:
            await self._own(account_id, name)
        args = ("errors", errors, "updated", clock.now_ms())
        if not await self._store.run(_UPDATE, keys=[keys.domain_proof(account_id, name)], args=args):
            await _disown(self._store, account_id, name)
        return await self.get(account_id, name)

    async def list(self, account_id: str) -> list[Domain]:
        """The account's domains, by name."""
        async with self._store.call() as client:
            names = await redis_fields.members(client, keys.account_domains(account_id))
            found = await _read(client, account_id, names)
        return [domain for domain in found if domain is not None]

    async def get(self, account_id: str, name: str) -> Domain:
        """One domain of the account. Raises NotFound: the account did not add it."""
        async with self._store.call() as client:
            (found,) = await _read(client, account_id, [name])
        if found is None:
            raise NotFound(f"{name} is not a domain of this account; add it with POST /api/domains/{name}")
        return found

    async def remove(self, account_id: str, name: str) -> None:
        """Gives a domain up. Raises NotFound; BadRequest: addresses on it are still reserved.

        Those would keep the account's hand on mail of a domain that may be another's tomorrow.
        """
        await self.get(account_id, name)
        on_it = [r.address for r in await self._addresses.list(account_id) if domain_of(r.address) == name]
        if on_it:
            shown = ", ".join(on_it[:5]) + (", …" if len(on_it) > 5 else "")
            raise BadRequest(f"{len(on_it)} addresses on {name} are reserved; release them first: {shown}")
        await _disown(self._store, account_id, name)
        async with self._store.call() as client:
            await _drop_starred(client, account_id, name)
        names = [keys.account_domains(account_id), keys.domain_proof(account_id, name), *doubted_keys(self._store)]
        await self._store.run(_FORGET, keys=names, args=[name])

    def _check_not_shared(self, name: str) -> None:
        if name in self._shared:
            raise BadRequest(f"{name} is shared by all accounts here; reserve addresses on it instead")

    async def give_up_undeclared(self, account_id: str, declared: Collection[str]) -> None:
        """Takes domains from the account that an accounts file gave it, and that do not stand there any more.

        Addresses on them stay reserved; nobody else gets their mail.
        """
        for domain in await self.list(account_id):
            if domain.name not in declared and domain.verified and await self._is_from_file(domain):
                await _disown(self._store, account_id, domain.name)
                names = [keys.account_domains(account_id), keys.domain_proof(account_id, domain.name)]
                await self._store.run(_FORGET, keys=names, args=[domain.name])

    async def _is_from_file(self, domain: Domain) -> bool:
        [source] = await self._store.ask(("HGET", keys.domain(domain.name), "source"))
        # Up to version 0.2 nobody noted it: what was never verified came from the file.
        return source == FROM_FILE.encode() if source else domain.updated_ms == domain.created_ms

    async def _own(self, account_id: str, name: str, *, source: str = "dns") -> None:
        owner: bytes = await self._store.run(_OWN, keys=[keys.domain(name)], args=[account_id, source])
        if owner.decode() != account_id:
            raise Unauthorized(f"{name} belongs to another account")

    async def _missing_proof(self, domain: Domain) -> str:
        """What stands between the domain and its proof; "" when nothing does."""
        try:
            values = await self._resolver.strings(domain.name)
        except NoRecords as exc:
            return str(exc)
        if domain.verification_txt.encode() in values:
            return ""
        return f"{_MISSING}; found {len(values)} other TXT values at {domain.name}"


async def _note(store: Store, account_id: str, name: str, *, limit: int = DOMAINS_LIMIT) -> bytes:
    names = [keys.account_domains(account_id), keys.domain_proof(account_id, name)]
    token = TOKEN_PREFIX + secrets.token_hex(20)
    return cast("bytes", await store.run(_ADD, keys=names, args=[name, token, clock.now_ms(), limit]))


async def _disown(store: Store, account_id: str, name: str) -> None:
    notice = Notice(Kind.DOMAIN, name).encode().decode()
    names = [keys.domain(name), *doubted_keys(store)]
    await store.run(_DISOWN, keys=names, args=[account_id, keys.CONTROL, notice])


async def _drop_starred(client: Client, account_id: str, name: str) -> None:
    """Copies of messages that the account starred there: they never expire, and nobody could reach them any more."""
    index = keys.account_starred(account_id)
    inboxes = [inbox.decode() for inbox in cast("list[bytes]", await client.zrange(index, 0, -1))]
    for inbox in inboxes:
        if domain_of(inbox) == name:
            copies = cast("list[bytes]", await client.hkeys(keys.starred(inbox)))
            if mine := [copy for copy in copies if copy.endswith(f" {account_id}".encode())]:
                await client.unlink(*(keys.starred_letter(inbox, copy.decode()) for copy in mine))
                await client.hdel(keys.starred(inbox), *mine)
            await client.zrem(index, inbox)


async def _read(client: Client, account_id: str, names: list[str]) -> list[Domain | None]:
    async with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(keys.domain_proof(account_id, name))
            pipe.hget(keys.domain(name), "owner")
        replies = await pipe.execute()
    pairs = zip(names, replies[::2], replies[1::2], strict=True)
    return [_domain(name, proof, owner == account_id.encode(), account_id) for name, proof, owner in pairs]


def _domain(name: str, proof: redis_fields.Fields, owned: bool, account_id: str) -> Domain | None:
    if not proof:
        return None
    return Domain(
        name=name,
        owner=account_id if owned else "",
        verification_txt=redis_fields.text(proof, "token"),
        last_verification_errors=redis_fields.text(proof, "errors"),
        created_ms=redis_fields.number(proof, "created"),
        updated_ms=redis_fields.number(proof, "updated"),
    )
