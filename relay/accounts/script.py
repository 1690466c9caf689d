"""Lua in Redis: the one way in which accounts change what several processes may change at once.

A script touches keys of one hash tag only, so that it also runs on Redis Cluster; what needs two tags is two
scripts, and the one that decides comes where a crash between them does no harm.
"""

from __future__ import annotations

from typing import Any, cast

from relay.store import Client

Fields = dict[bytes, bytes]


async def run(client: Client, script: str, keys: list[str], *args: str | int) -> Any:
    """The reply of a script, as redis-py gives it: bytes, int, list or None."""
    return await client.eval(script, len(keys), *keys, *args)


async def members(client: Client, key: str) -> list[str]:
    """The members of a set, sorted."""
    return sorted(member.decode() for member in cast("set[bytes]", await client.smembers(key)))


def text(fields: Fields, name: str) -> str:
    """A member of a hash; "" when it is not there."""
    return fields.get(name.encode(), b"").decode()


def number(fields: Fields, name: str) -> int:
    """A member of a hash that is a count or a time; 0 when it is not there."""
    return int(fields.get(name.encode(), b"0"))


def flat(fields: dict[str, str]) -> list[str]:
    """Members as HSET takes them: name, value, name, value, …"""
    return [part for pair in fields.items() for part in pair]
