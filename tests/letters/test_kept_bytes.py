"""RELAY_KEEP_BYTES: the oldest messages of an inbox make room, and whoever missed them is told."""

from __future__ import annotations

import random

import pytest

from tests.harness import ADDRESS, OTHER_ADDRESS, OTHER_KEY, Relay

pytestmark = [pytest.mark.anyio, pytest.mark.settings(keep_bytes=1024 * 1024)]

_CHANCE = random.Random(1)


async def post(relay: Relay, to: str, size_bytes: int) -> str:
    """The ``_id``. What is kept of it is about as large: it does not become smaller."""
    raw = b"Subject: x\r\n\r\n" + _CHANCE.randbytes(size_bytes // 2).hex().encode()
    answer = await relay.post(raw, to)
    assert answer.status_code == 200
    return str(answer.json()["accepted"][0]["_id"])


async def listed(relay: Relay, address: str = ADDRESS, **more: str) -> list[str]:
    answer = await relay.rest("GET", f"/api/addresses/{address}/messages", **more)
    return [message["_id"] for message in answer.json()]


async def test_the_oldest_make_room_and_other_inboxes_do_not(relay: Relay) -> None:
    other = await post(relay, OTHER_ADDRESS, 200_000)
    ids = [await post(relay, ADDRESS, 200_000) for _ in range(10)]
    kept = await listed(relay)
    assert kept == ids[: -len(kept) - 1 : -1]
    assert 2 <= len(kept) < len(ids)
    assert await listed(relay, OTHER_ADDRESS, key=OTHER_KEY) == [other]


async def test_who_missed_them_is_told(relay: Relay) -> None:
    ids = [await post(relay, ADDRESS, 200_000) for _ in range(10)]
    kept = await listed(relay)
    async with relay.listen(ADDRESS, since=ids[0]) as socket:
        gap = await socket.message()
        told = (gap["msg"], gap["reason"], gap["after"], gap["next"])
        assert told == ("Gap", "trimmed", ids[0], kept[-1])
        assert [(await socket.message())["_id"] for _ in kept] == kept[::-1]


async def test_the_newest_stays_however_large_it_is(relay: Relay) -> None:
    await post(relay, ADDRESS, 10_000)
    large = await post(relay, ADDRESS, 3_000_000)
    assert await listed(relay) == [large]
    small = await post(relay, ADDRESS, 10_000)
    assert await listed(relay) == [small]
