"""What a queue has in Redis, read and moved in time without its scripts: a test must not wait for a lease to end."""

from __future__ import annotations

from typing import Any

from relay.store import Command, Store

Stored = tuple[dict[bytes, float], int, dict[bytes, dict[bytes, bytes]]]


async def asked(store: Store, *command: str | bytes | int) -> Any:
    """The reply to one command."""
    return (await store.ask(command))[0]


async def bytes_counted(store: Store, key: str) -> int:
    """What the queue believes its entries take."""
    return int(await asked(store, "GET", f"{key}:bytes") or 0)


async def stored(store: Store, key: str) -> Stored:
    """When each entry is due (Unix ms), the bytes, and the hash of each entry."""
    ids = await asked(store, "ZRANGE", key, 0, -1)
    if not ids:
        return {}, await bytes_counted(store, key), {}
    times = await store.ask(*(("ZSCORE", key, entry) for entry in ids))
    entries = await store.ask(*(("HGETALL", _key(key, entry)) for entry in ids))
    due = {entry: float(score) for entry, score in zip(ids, times, strict=True)}
    hashes = {entry: _pairs(flat) for entry, flat in zip(ids, entries, strict=True)}
    return due, await bytes_counted(store, key), hashes


async def entry_of(store: Store, key: str, entry_id: str) -> dict[bytes, bytes]:
    """The hash of an entry; empty when it is gone."""
    return _pairs(await asked(store, "HGETALL", f"{key}:{entry_id}"))


async def let_time_pass(store: Store, key: str, seconds: int) -> None:
    """Moves all times of a queue into the past, which is the same to it as a clock that went on."""
    due, _, entries = await stored(store, key)
    moves: list[Command] = []
    for entry, due_ms in due.items():
        moves.append(("ZADD", key, int(due_ms) - seconds * 1000, entry))
        if until_ms := entries[entry].get(b"until"):
            moves.append(("HSET", _key(key, entry), "until", int(until_ms) - seconds * 1000))
    if moves:
        await store.ask(*moves)


def _key(key: str, entry: bytes) -> str:
    return f"{key}:{entry.decode()}"


def _pairs(reply: list[bytes] | dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Of HGETALL, to which the embedded Redis replies a dict."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
