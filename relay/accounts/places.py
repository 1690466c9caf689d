"""The places of an account: the sorted set of its addresses, which counts its credits. The address hash decides."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from relay.accounts import redis_fields
from relay.address import domain_of
from relay.store import Client, Store, keys

_PAGE = 1000  # places of one question: Redis takes less than a millisecond for them

AT_ONCE = 256  # addresses of one pipeline: some five milliseconds of our time, in which nobody else has a turn

Look = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Places:
    """Those of an account at one moment."""

    names: list[str]  # in alphabetical order
    taken_ms: dict[str, int]  # Unix time in milliseconds, by name


async def read(store: Store, account_id: str) -> Places:
    """All places. Read in pages: they may be a million.

    A place that moves while they are read is found where it goes to: only its time changes, and no time goes back.
    """
    taken_ms: dict[str, int] = {}
    runs: list[list[str]] = []
    first_ms, count = "-inf", _PAGE
    while True:
        command = ("ZRANGEBYSCORE", keys.account_addresses(account_id), first_ms, "+inf", "WITHSCORES")
        [reply] = await store.ask((*command, "LIMIT", 0, count))
        page = {name.decode(): int(score) for name, score in redis_fields.scored(reply)}
        _add(runs, sorted(page.keys() - taken_ms.keys()))
        taken_ms |= page
        if len(page) < count:
            break
        # From the last time on, which others may have: a page that has but one time cannot be gone on from.
        times = list(page.values())
        count = count * 2 if times[0] == times[-1] else _PAGE
        first_ms = str(times[-1])
    while len(runs) > 1:
        _merge(runs)
        await asyncio.sleep(0)  # others have their turn
    return Places(runs[0], taken_ms)


def _add(runs: list[list[str]], run: list[str]) -> None:
    """Keeps a few ordered runs, each at least twice as long as the next: to sort all at once would take too long."""
    runs.append(run)
    while len(runs) > 1 and len(runs[-2]) <= 2 * len(runs[-1]):
        _merge(runs)


def _merge(runs: list[list[str]]) -> None:
    """The last two into one; for two that are in order, sort() goes through them once."""
    last = runs.pop()
    runs[-1] += last
    runs[-1].sort()


def in_parts(addresses: Sequence[str]) -> Iterator[Sequence[str]]:
    """Each as many as go into one pipeline."""
    return (addresses[start : start + AT_ONCE] for start in range(0, len(addresses), AT_ONCE))


async def look(client: Client, account_id: str, addresses: Sequence[str]) -> list[Look]:
    """For each address its owner, and since when (Unix ms) the account owns its domain; None for none."""
    async with client.pipeline(transaction=False) as pipe:
        for address in addresses:
            pipe.hget(keys.address(address), "owner")
            pipe.hmget(keys.domain(domain_of(address)), ["owner", "since"])
        replies = await pipe.execute()
    looks: list[Look] = []
    for owner, (domain_owner, since) in zip(replies[::2], replies[1::2], strict=True):
        owns_domain = domain_owner == account_id.encode()
        looks.append((owner.decode() if owner else None, since.decode() if owns_domain else None))
    return looks


async def leave(client: Client, account_id: str, addresses: Sequence[str], *, now_ms: int) -> None:
    """Takes addresses out of the account's set, unless the account has just claimed them again."""
    if not addresses:
        return
    await client.zrem(keys.account_addresses(account_id), *addresses)
    looks = await look(client, account_id, addresses)
    mine = [a for a, (owner, _) in zip(addresses, looks, strict=True) if owner == account_id]
    if mine:
        await client.zadd(keys.account_addresses(account_id), dict.fromkeys(mine, now_ms))


async def domain_starts(store: Store, account_id: str, addresses: Sequence[str]) -> dict[str, str]:
    """Since when (Unix ms) the account owns each domain of these addresses; those that it does not own are left out."""
    domains = sorted({domain_of(address) for address in addresses})
    replies = await store.ask(*(("HMGET", keys.domain(domain), "owner", "since") for domain in domains))
    rows = cast("list[list[bytes | None]]", replies)
    return {
        domain: (since or b"").decode()
        for domain, (owner, since) in zip(domains, rows, strict=True)
        if owner == account_id.encode()
    }
