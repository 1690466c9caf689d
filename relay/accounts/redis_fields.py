"""Hashes and sets of accounts as Redis holds them, read and written as text and numbers."""

from __future__ import annotations

from typing import Any, cast

from relay.store import Client

Fields = dict[bytes, bytes]


async def members(client: Client, key: str) -> list[str]:
    """The members of a set, sorted."""
    return sorted(member.decode() for member in cast("set[bytes]", await client.smembers(key)))


def of_reply(reply: Any) -> Fields:
    """A hash as HGETALL replies it: RESP 3 has maps, RESP 2 names and values in turn."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def scored(reply: list[Any]) -> list[tuple[bytes, float]]:
    """Members of a sorted set with their scores: RESP 3 has pairs, RESP 2 members and scores in turn."""
    pairs = reply if reply and isinstance(reply[0], list) else zip(reply[::2], reply[1::2], strict=True)
    return [(member, float(score)) for member, score in pairs]


def text(fields: Fields, name: str) -> str:
    """A member of a hash; "" when it is not there."""
    return fields.get(name.encode(), b"").decode()


def number(fields: Fields, name: str) -> int:
    """A member of a hash that is a count or a time; 0 when it is not there."""
    return int(fields.get(name.encode(), b"0"))


def flat(fields: dict[str, str]) -> list[str]:
    """Members as HSET takes them: name, value, name, value, …"""
    return [part for pair in fields.items() for part in pair]
