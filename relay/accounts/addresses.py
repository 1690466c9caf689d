"""Addresses: reserved by one account at a time, on domains that it may use.

Two things are written: the address hash, which decides who has the address, and the account's own sorted set,
which counts its credits. They have different hash tags, so a reservation is three steps that may be cut off
anywhere: take a place in the set, claim the hash, and, when somebody else has it, leave the set again. What a
crash leaves over is a place without a claim; ``list`` clears it once it is too old to be under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from relay import clock
from relay.accounts import address_scripts as lua
from relay.accounts import redis_fields
from relay.accounts.reservation import UNCHANGED, Change, Reservation
from relay.address import domain_of
from relay.errors import BadRequest, NotFound, Unauthorized
from relay.store import Client, Command, Store, keys
from relay.store.notices import Kind, Notice

BULK_LIMIT = 100  # addresses of one call, as Mailsac's
# Longer than any call to Redis may last (RELAY_REDIS_TIMEOUT_SECONDS is at most 60), clock differences included.
_UNDER_WAY_MS = 180_000
_DROP_ALL = ""  # for lua.CLAIM: no letter from before the claim may be seen

Reservations = list[Reservation]
Outcomes = list[bytes]


class Addresses:
    """All reservations. Addresses given to it are canonical. Every method raises Unavailable."""

    def __init__(
        self, store: Store, *, shared_domains: Sequence[str], now_ms: Callable[[], int] = clock.now_ms
    ) -> None:
        self._store = store
        self._shared = frozenset(shared_domains)
        self._now_ms = now_ms
        self._counts = "" if store.clustered else keys.ACCOUNT_KEPT  # see letters/lua/count.lua

    async def reserve(self, account_id: str, address: str, change: Change = UNCHANGED) -> Reservation:
        """Makes a free address the account's.

        Raises BadRequest: it is the account's already, its domain is not served, no credits are left;
        Unauthorized: it is another account's.
        """
        (reserved,) = await self._reserve(account_id, [address], change)
        return reserved

    async def reserve_bulk(self, account_id: str, addresses: Sequence[str]) -> Reservations:
        """Reserves all of up to 100 addresses, or none. Raises as :meth:`reserve`; the text names the address."""
        if not 1 <= len(addresses) <= BULK_LIMIT:
            raise BadRequest(f"give 1 to {BULK_LIMIT} addresses, not {len(addresses)}", member="addresses")
        if len(set(addresses)) < len(addresses):
            twice = next(address for address in addresses if addresses.count(address) > 1)
            raise BadRequest(f"{twice} is named more than once", member="addresses")
        return await self._reserve(account_id, addresses, UNCHANGED)

    async def declare(self, account_id: str, address: str, *, enablews: bool) -> None:
        """Reserves an address because the operator's file says so: on any domain, and without asking for credits.

        ``enablews`` is set when this value is declared for the first time; later the owner's own switch stays.
        Raises Unauthorized: it is another account's.
        """
        async with self._store.call() as client:
            ((_, owned_since),) = await _look(client, account_id, [address])
            await client.zadd(keys.account_addresses(account_id), {address: self._now_ms()})
            change, declared = Change(enablews=enablews), {"declared": "01"[enablews]}
            members = self._fresh(change) | declared
            (outcome,) = await self._claim(account_id, [(address, owned_since or _DROP_ALL)], members)
            if outcome == lua.YOURS:
                outcome = await self._update(account_id, address, change, declared)
            if outcome == lua.OTHERS:
                await self._leave(client, account_id, [address])
                raise Unauthorized(f"{address} belongs to another account")

    async def list(self, account_id: str) -> Reservations:
        """The account's addresses, in alphabetical order. Clears what a crash left over."""
        async with self._store.call() as client:
            return (await self._heal(client, account_id))[0]

    async def count(self, account_id: str) -> int:
        """How many credits the account uses."""
        async with self._store.call() as client:
            return int(await client.zcard(keys.account_addresses(account_id)))

    async def get(self, account_id: str, address: str) -> Reservation:
        """An address of the account, or a free one (``owner`` is ""). Raises Unauthorized: it is another's."""
        async with self._store.call() as client:
            row = cast("redis_fields.Fields", await client.hgetall(keys.address(address)))
        found = Reservation.of(address, row)
        if found.owner not in ("", account_id):
            raise Unauthorized(f"{address} belongs to another account")
        return found

    async def update(self, account_id: str, address: str, change: Change) -> Reservation:
        """Sets members. Raises BadRequest: not reserved; Unauthorized: another's."""
        _check_mine(await self._update(account_id, address, change), address)
        return await self.get(account_id, address)

    async def release(self, account_id: str, address: str) -> None:
        """Gives an address up, with the mail that is kept for it. Raises BadRequest, Unauthorized as update."""
        # The letters go too, wanted or not: the next owner of the address must not find them.
        call = lua.RELEASE.call(_names(address), (account_id, self._counts, keys.CONTROL, _notice(address)))
        [outcome] = await self._until_done([call])
        _check_mine(outcome, address)
        async with self._store.call() as client:
            await self._leave(client, account_id, [address])

    async def availability(self, account_id: str, address: str) -> tuple[bool, bool]:
        """Whether the account could reserve the address, credits aside; and whether anybody has it."""
        async with self._store.call() as client:
            ((owner, owned_since),) = await _look(client, account_id, [address])
        served = owned_since is not None or domain_of(address) in self._shared
        return served and owner is None, owner is not None

    async def _reserve(self, account_id: str, addresses: Sequence[str], change: Change) -> Reservations:
        members = self._fresh(change)
        async with self._store.call() as client:
            claims = await self._allowed(client, account_id, addresses)
            await self._take(client, account_id, addresses)
            outcomes = await self._claim(account_id, claims, members)
            if set(outcomes) != {lua.DONE}:
                await self._undo(client, account_id, addresses, outcomes)
        for address, outcome in zip(addresses, outcomes, strict=True):
            _check_claimed(outcome, address)
        row = {name.encode(): value.encode() for name, value in (members | {"owner": account_id}).items()}
        return [Reservation.of(address, row) for address in addresses]

    def _fresh(self, change: Change) -> dict[str, str]:
        """The hash members of an address that is reserved now."""
        now = str(self._now_ms())
        return {"enablews": "0", "created": now, "updated": now} | change.members()

    async def _allowed(
        self, client: Client, account_id: str, addresses: Sequence[str]
    ) -> Sequence[tuple[str, str]]:
        """Each address with the time from which its letters may be seen; raises for those that cannot be had."""
        claims = []
        looks = await _look(client, account_id, addresses)
        for address, (owner, owned_since) in zip(addresses, looks, strict=True):
            if owner is not None:
                _check_claimed(lua.YOURS if owner == account_id else lua.OTHERS, address)
            if owned_since is None and domain_of(address) not in self._shared:
                raise BadRequest(self._not_served(address))
            claims.append((address, owned_since or _DROP_ALL))
        return claims

    def _not_served(self, address: str) -> str:
        shared = ", ".join(sorted(self._shared)[:5])
        instead = f", or choose an address on {shared}" if shared else ""
        domain = domain_of(address)
        return (
            f"{address} cannot be reserved: {domain} is neither served here nor verified as yours; add and verify "
            f"it with POST /api/domains/{domain}{instead}"
        )

    async def _take(self, client: Client, account_id: str, addresses: Sequence[str]) -> None:
        """A place in the account's set for each address. Raises BadRequest: no credits left."""
        names = [keys.account(account_id), keys.account_addresses(account_id)]
        taken, credit_count, used = await self._store.run(lua.TAKE, keys=names, args=[self._now_ms(), *addresses])
        if taken == lua.FULL and (await self._heal(client, account_id))[1]:
            taken, credit_count, used = await self._store.run(
                lua.TAKE, keys=names, args=[self._now_ms(), *addresses]
            )
        if taken == lua.NO_ACCOUNT:
            raise NotFound(f"there is no account {account_id}")
        if taken == lua.FULL:
            raise BadRequest(
                f"not enough address credits: {used} of {credit_count} are used, {max(credit_count - used, 0)} "
                f"are left and {len(addresses)} needed; release an address first, or ask for more credits"
            )

    async def _claim(
        self,
        account_id: str,
        claims: Sequence[tuple[str, str]],
        members: dict[str, str],
    ) -> Outcomes:
        """What came of claiming each address: lua.DONE, lua.YOURS or lua.OTHERS."""
        row = redis_fields.flat(members)
        outcomes = await self._until_done(
            lua.CLAIM.call(_names(address), (account_id, self._counts, keep_from, *row))
            for address, keep_from in claims
        )
        # Once more, and not before the claims are made: a release of the same address that ran meanwhile may have left
        # the set after we took the place, and an address that is claimed must be in it.
        now_ms = self._now_ms()
        places = [part for address, _ in claims for part in (now_ms, address)]
        await self._store.ask(("ZADD", keys.account_addresses(account_id), *places))
        return outcomes

    async def _until_done(self, calls: Iterable[Command]) -> Outcomes:
        """What came of scripts that throw mail away, some hundred letters at a time."""
        commands = list(calls)
        outcomes = cast("Outcomes", await self._store.ask(*commands))
        while again := [at for at, outcome in enumerate(outcomes) if outcome == lua.AGAIN]:
            for at, outcome in zip(again, await self._store.ask(*(commands[at] for at in again)), strict=True):
                outcomes[at] = outcome
        return outcomes

    async def _undo(
        self, client: Client, account_id: str, addresses: Sequence[str], outcomes: Sequence[bytes]
    ) -> None:
        """Gives back what :meth:`_claim` claimed, and the places of all that are not the account's."""
        for address, outcome in zip(addresses, outcomes, strict=True):
            if outcome == lua.DONE:
                args = (account_id, keys.CONTROL, _notice(address))
                await self._store.run(lua.UNCLAIM, keys=[keys.address(address)], args=args)
        not_mine = [a for a, outcome in zip(addresses, outcomes, strict=True) if outcome != lua.YOURS]
        await self._leave(client, account_id, not_mine)

    async def _update(
        self,
        account_id: str,
        address: str,
        change: Change,
        declared: dict[str, str] | None = None,
    ) -> bytes:
        """lua.DONE, lua.OTHERS or lua.FREE. With ``declared``: nothing is set when it is declared so already."""
        members = change.members() | {"updated": str(self._now_ms())} | (declared or {})
        declaration = (declared or {}).get("declared", "")
        args = (account_id, keys.CONTROL, _notice(address), declaration, *redis_fields.flat(members))
        return cast("bytes", await self._store.run(lua.UPDATE, keys=[keys.address(address)], args=args))

    async def _heal(self, client: Client, account_id: str) -> tuple[Reservations, bool]:
        """The account's addresses, and whether places without a claim were cleared."""
        members = cast(
            "list[tuple[bytes, float]]",
            await client.zrange(keys.account_addresses(account_id), 0, -1, withscores=True),
        )
        places = sorted((member.decode(), score) for member, score in members)
        async with client.pipeline(transaction=False) as pipe:
            for address, _ in places:
                pipe.hgetall(keys.address(address))
            rows = await pipe.execute()
        found = [Reservation.of(address, row) for (address, _), row in zip(places, rows, strict=True)]
        old = self._now_ms() - _UNDER_WAY_MS
        taken_ms = dict(places)
        stale = [r.address for r in found if r.owner != account_id and taken_ms[r.address] < old]
        await self._leave(client, account_id, stale)
        return [r for r in found if r.owner == account_id], bool(stale)

    async def _leave(self, client: Client, account_id: str, addresses: Sequence[str]) -> None:
        """Takes addresses out of the account's set, unless the account has just claimed them again."""
        if not addresses:
            return
        await client.zrem(keys.account_addresses(account_id), *addresses)
        looks = await _look(client, account_id, addresses)
        mine = [a for a, (owner, _) in zip(addresses, looks, strict=True) if owner == account_id]
        if mine:
            await client.zadd(keys.account_addresses(account_id), dict.fromkeys(mine, self._now_ms()))


def _names(address: str) -> list[str]:
    """The address hash, and all that is kept of its mail, as empty.lua has it."""
    kinds = (keys.address, keys.index, keys.meta, keys.flags, keys.starred)
    of_letters = (keys.letter(address, ""), keys.starred_letter(address, ""))
    return [*(kind(address) for kind in kinds), *of_letters, keys.letterbox(address), keys.letter_ids(address)]


async def _look(client: Client, account_id: str, addresses: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """For each address its owner, and since when (Unix ms) the account owns its domain; None for none."""
    async with client.pipeline(transaction=False) as pipe:
        for address in addresses:
            pipe.hget(keys.address(address), "owner")
            pipe.hmget(keys.domain(domain_of(address)), ["owner", "since"])
        replies = await pipe.execute()
    looks: list[tuple[str | None, str | None]] = []
    for owner, (domain_owner, since) in zip(replies[::2], replies[1::2], strict=True):
        owns_domain = domain_owner == account_id.encode()
        looks.append((owner.decode() if owner else None, since.decode() if owns_domain else None))
    return looks


def _notice(address: str) -> str:
    return Notice(Kind.ADDRESS, address).encode().decode()


def _check_claimed(outcome: bytes, address: str) -> None:
    if outcome == lua.YOURS:
        raise BadRequest(f"{address} is reserved by this account already")
    if outcome == lua.OTHERS:
        raise Unauthorized(f"{address} belongs to another account")


def _check_mine(outcome: bytes, address: str) -> None:
    if outcome == lua.FREE:
        raise BadRequest(
            f"{address} is not reserved by this account; reserve it with POST /api/addresses/{address}"
        )
    if outcome == lua.OTHERS:
        raise Unauthorized(f"{address} belongs to another account")
