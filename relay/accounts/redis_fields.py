"""Hashes and sets of accounts as Redis holds them, read and written as text and numbers."""

from __future__ import annotations

from typing import cast

from relay.store import Client

Fields = dict[bytes, bytes]


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
