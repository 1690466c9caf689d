"""The history mark: what a Redis is asked at each new connection, so that publish.lua learns of lost writes.

A Redis that was a replica, or that came back without an append-only file, may lack messages that were acknowledged.
Nothing in the data says so. So the mark (keys.HISTORY) is made of what the server says of itself, and stands in the
data: whoever finds another mark than the one it knew begins a new epoch.
"""

from __future__ import annotations

import math
from typing import Any

from redis.asyncio import Connection
from redis.exceptions import BusyLoadingError, ReadOnlyError

from relay.store import keys

_FIRST = b"first"  # where there is no reason to doubt anything; a later mark must have one to differ from
_NEVER_PROMOTED = b"-1"  # second_repl_offset of a server that was always the master of its history


async def note(connection: Connection) -> None:
    """Writes the mark into the server behind a connection, when it has one that does not stand there yet.

    Raises ReadOnlyError: it is a replica; BusyLoadingError: it has just started; NoPermissionError: our user may not
    ask; RedisError, OSError.
    """
    info = _fields(await _ask(connection, "INFO"))
    if info.get(b"role") == b"slave":
        raise ReadOnlyError("a replica, where a master was expected")
    if info.get(b"loading") == b"1":
        # While it reads its append-only file it says that it has none; the next question may come when it is through.
        raise BusyLoadingError("it is loading its data")
    mark = _mark(info)
    found = await _ask(connection, "GET", keys.HISTORY)
    # A server that says nothing of itself has the history that its data has, and the mark in them stays.
    if found != (mark or found or _FIRST):
        await _ask(connection, "SET", keys.HISTORY, mark or _FIRST)


def _mark(info: dict[bytes, bytes]) -> bytes:
    """b"" when nothing can be missing. A function of the server's state: all processes write the same."""
    promoted = info.get(b"second_repl_offset", _NEVER_PROMOTED) != _NEVER_PROMOTED
    # All since the last snapshot goes with the process when there is no append-only file.
    forgetful = info.get(b"aof_enabled") == b"0"
    parts = (info.get(b"master_replid", b"") if promoted else b"", info.get(b"run_id", b"") if forgetful else b"")
    return b":".join(parts) if any(parts) else b""


def _fields(info: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in info.splitlines())
    return {name: value for name, colon, value in lines if colon}


async def _ask(connection: Connection, *command: str | bytes) -> Any:
    await connection.send_command(*command, check_health=False)
    return await connection.read_response(timeout=math.inf)
