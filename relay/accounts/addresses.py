"""Addresses: reserved by one account at a time, on domains that it may use.

Two things are written: the address hash, which decides who has the address, and the account's own sorted set,
which counts its credits. They have different hash tags, so a reservation is three steps that may be cut off
anywhere: take a place in the set, claim the hash, and, when somebody else has it, leave the set again. What a
crash leaves over is a place without a claim; ``list`` clears it once it is too old to be under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from relay import clock
from relay.accounts import address_scripts as lua
from relay.accounts import places, redis_fields
from relay.accounts.address_list import AddressList
from relay.accounts.applied import doubted_keys
from relay.accounts.reservation import UNCHANGED, Change, Reservation
from relay.accounts.shared_domains import SharedDomains
from relay.address import domain_of
from relay.errors import BadRequest, NotFound, Unauthorized
from relay.store import Client, Command, Store, keys
from relay.store.notices import Kind, Notice

BULK_LIMIT = 100  # addresses of one call, as Mailsac's
_DROP_ALL = ""  # for lua.CLAIM: no letter from before the claim may be seen

Reservations = list[Reservation]
Outcomes = list[bytes]


class Addresses:
    """All reservations. Addresses given to it are canonical. Every method raises Unavailable."""

    def __init__(
        self,
        store: Store,
        *,
        shared: SharedDomains,
        now_ms: Callable[[], int] = clock.now_ms,
    ) -> None:
        self._store = store
        self._shared = shared
        self._now_ms = now_ms
        self._counts = "" if store.clustered else keys.ACCOUNT_KEPT  # see letters/lua/count.lua
        self.listed = AddressList(store, now_ms=now_ms)

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
        """As :meth:`declare_all`, for one address. Raises Unauthorized: it is another account's."""
        if await self.declare_all(account_id, {address: enablews}):
            raise Unauthorized(_anothers(address))

    async def declare_all(
        self, account_id: str, enablews: Mapping[str, bool], *, token: str = ""
    ) -> Sequence[str]:
        """Reserves addresses because the operator's file says so: on any domain, and without asking for credits.

        ``enablews``, by address, is set when this value is declared for the first time; later the owner's own switch
        stays. ``token``: of the application of the file, see applied.py. The answer is which are another account's.
        """
        others: list[str] = []
        for some in places.in_parts(list(enablews)):
            others += await self._declare(account_id, {address: enablews[address] for address in some}, token)
        return others

    async def list(self, account_id: str) -> Reservations:
        """The account's addresses, in alphabetical order. Clears what a crash left over."""
        return [reservation async for part in self.listed.parts(account_id) for reservation in part]

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
            raise Unauthorized(_anothers(address))
        return found

    async def update(self, account_id: str, address: str, change: Change) -> Reservation:
        """Sets members. Raises BadRequest: not reserved; Unauthorized: another's."""
        _check_mine(await self._update(account_id, address, change), address)
        return await self.get(account_id, address)

    async def release(self, account_id: str, address: str) -> None:
        """Gives an address up, with the mail that is kept for it. Raises BadRequest, Unauthorized as update."""
        # The letters go too, wanted or not: the next owner of the address must not find them.
        names = [*_names(address), *doubted_keys(self._store)]
        call = lua.RELEASE.call(names, (account_id, self._counts, keys.CONTROL, _notice(address)))
        [outcome] = await self._until_done([call])
        _check_mine(outcome, address)
        async with self._store.call() as client:
            await self._leave(client, account_id, [address])

    async def availability(self, account_id: str, address: str) -> tuple[bool, bool]:
        """Whether the account could reserve the address, credits aside; and whether anybody has it."""
        async with self._store.call() as client:
            ((owner, owned_since),) = await places.look(client, account_id, [address])
        served = owned_since is not None or self._shared.offers(address)
        return served and owner is None, owner is not None

    async def _reserve(self, account_id: str, addresses: Sequence[str], change: Change) -> Reservations:
        members = self._fresh(change)
        async with self._store.call() as client:
            claims = await self._allowed(client, account_id, addresses)
            await self._take(account_id, addresses)
            outcomes = await self._claim(account_id, claims, [redis_fields.flat(members)] * len(claims))
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

    def _declared_row(self, flag: str) -> dict[str, str]:
        return self._fresh(Change(enablews=flag == "1")) | {"declared": flag}

    async def _allowed(
        self, client: Client, account_id: str, addresses: Sequence[str]
    ) -> Sequence[tuple[str, str]]:
        """Each address with the time from which its letters may be seen; raises for those that cannot be had."""
        claims = []
        looks = await places.look(client, account_id, addresses)
        for address, (owner, owned_since) in zip(addresses, looks, strict=True):
            if owner is not None:
                _check_claimed(lua.YOURS if owner == account_id else lua.OTHERS, address)
            if owned_since is None:
                self._shared.check(address)
            claims.append((address, owned_since or _DROP_ALL))
        return claims

    async def _take(self, account_id: str, addresses: Sequence[str]) -> None:
        """A place in the account's set for each address. Raises BadRequest: no credits left."""
        names = [keys.account(account_id), keys.account_addresses(account_id)]
        taken, credit_count, used = await self._store.run(lua.TAKE, keys=names, args=[self._now_ms(), *addresses])
        if taken == lua.FULL and await self.listed.heal(account_id):
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

    async def _declare(self, account_id: str, enablews: Mapping[str, bool], token: str) -> Sequence[str]:
        flags = {address: "01"[on] for address, on in enablews.items()}
        rows = {flag: redis_fields.flat(self._declared_row(flag)) for flag in "01"}
        async with self._store.call() as client:
            starts = await places.domain_starts(self._store, account_id, list(flags))
            [new] = await self._store.ask(self._places(account_id, list(flags)))
            # Without a place there was no address either: that spares all these questions at the first start.
            wanted = flags if new == len(flags) else await self._not_declared(account_id, flags)
            claims = [(address, starts.get(domain_of(address), _DROP_ALL)) for address in wanted]
            outcomes = await self._claim(account_id, claims, [rows[flag] for flag in wanted.values()])
            found = dict(zip(wanted, outcomes, strict=True))
            yours = {address: flag for address, flag in wanted.items() if found[address] == lua.YOURS}
            found |= await self._declare_again(account_id, yours, token)
            others = [address for address in wanted if found[address] == lua.OTHERS]
            await self._leave(client, account_id, others)
        return others

    async def _not_declared(self, account_id: str, flags: Mapping[str, str]) -> Mapping[str, str]:
        """Those of the addresses that are not the account's, or were not declared so."""
        found = await self._store.ask(
            *(("HMGET", keys.address(address), "owner", "declared") for address in flags)
        )
        owner = account_id.encode()
        pairs = zip(flags.items(), found, strict=True)
        return {address: flag for (address, flag), row in pairs if row != [owner, flag.encode()]}

    async def _declare_again(self, account_id: str, wanted: Mapping[str, str], token: str) -> dict[str, bytes]:
        """For addresses that are the account's, but were not declared so."""
        members = {"updated": str(self._now_ms())}
        calls = [
            self._update_call(account_id, address, members | {"enablews": flag, "declared": flag}, flag, token)
            for address, flag in wanted.items()
        ]
        return dict(zip(wanted, await self._store.ask(*calls), strict=True)) if calls else {}

    def _places(self, account_id: str, addresses: Sequence[str]) -> tuple[str | int, ...]:
        """The command that takes places, credits or not."""
        now_ms = self._now_ms()
        return ("ZADD", keys.account_addresses(account_id), *(part for a in addresses for part in (now_ms, a)))

    async def _claim(
        self,
        account_id: str,
        claims: Sequence[tuple[str, str]],
        members: Sequence[Sequence[str]],
    ) -> Outcomes:
        """What came of claiming each address: lua.DONE, lua.YOURS or lua.OTHERS. ``members`` as HSET takes them."""
        if not claims:
            return []
        outcomes = await self._until_done(
            lua.CLAIM.call(_names(address), (account_id, self._counts, keep_from, *row))
            for (address, keep_from), row in zip(claims, members, strict=True)
        )
        # Once more, and not before the claims are made: a release of the same address that ran meanwhile may have left
        # the set after we took the place, and an address that is claimed must be in it.
        await self._store.ask(self._places(account_id, [address for address, _ in claims]))
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
                names = [keys.address(address), *doubted_keys(self._store)]
                await self._store.run(lua.UNCLAIM, keys=names, args=args)
        not_mine = [a for a, outcome in zip(addresses, outcomes, strict=True) if outcome != lua.YOURS]
        await self._leave(client, account_id, not_mine)

    async def _update(self, account_id: str, address: str, change: Change) -> bytes:
        """lua.DONE, lua.OTHERS or lua.FREE."""
        members = change.members() | {"updated": str(self._now_ms())}
        [outcome] = await self._store.ask(self._update_call(account_id, address, members))
        return cast("bytes", outcome)

    def _update_call(
        self, account_id: str, address: str, members: dict[str, str], declared: str = "", token: str = ""
    ) -> Command:
        """``declared``: what a file says; nothing is set when it has said so already."""
        args = (account_id, keys.CONTROL, _notice(address), declared, token, *redis_fields.flat(members))
        return lua.UPDATE.call([keys.address(address), *doubted_keys(self._store)], args)

    async def _leave(self, client: Client, account_id: str, addresses: Sequence[str]) -> None:
        await places.leave(client, account_id, addresses, now_ms=self._now_ms())


def _names(address: str) -> list[str]:
    """The address hash, and all that is kept of its mail, as empty.lua has it."""
    kinds = (keys.address, keys.index, keys.meta, keys.flags, keys.starred)
    of_letters = (keys.letter(address, ""), keys.starred_letter(address, ""))
    return [*(kind(address) for kind in kinds), *of_letters, keys.letterbox(address), keys.letter_ids(address)]


def _notice(address: str) -> str:
    return Notice(Kind.ADDRESS, address).encode().decode()


def _check_claimed(outcome: bytes, address: str) -> None:
    if outcome == lua.YOURS:
        raise BadRequest(f"{address} is reserved by this account already")
    if outcome == lua.OTHERS:
        raise Unauthorized(_anothers(address))


def _check_mine(outcome: bytes, address: str) -> None:
    if outcome == lua.FREE:
        raise BadRequest(
            f"{address} is not reserved by this account; reserve it with POST /api/addresses/{address}"
        )
    if outcome == lua.OTHERS:
        raise Unauthorized(_anothers(address))


def _anothers(address: str) -> str:
    return f"{address} belongs to another account"
