"""Scripts by their SHA-1: a Redis that has not seen one gets its source, and what Redis refuses is Unavailable."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest
import redis

from relay import store
from relay.errors import Unavailable
from relay.store import Script, Store

pytestmark = pytest.mark.anyio

KEY = "relay:{x}:test"


def script(source: str) -> Script:
    return Script("test", source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


APPEND = script("return redis.call('RPUSH', KEYS[1], unpack(ARGV))")
WRONG = script("return redis.call('GET', KEYS[1])")


@pytest.fixture
async def opened(redis_url: str) -> AsyncIterator[Store]:
    opened = store.connect(redis_url, timeout_seconds=5)
    yield opened
    await opened.close()


async def test_a_script_runs_whether_redis_has_seen_it_or_not(opened: Store) -> None:
    for count in (1, 2):
        assert await opened.run(APPEND, keys=[KEY], args=[b"\xff\r\n"]) == count
    async with opened.call() as client:
        await client.script_flush()
    assert await opened.run(APPEND, keys=[KEY], args=["x"]) == 3
    assert await opened.ask(("LRANGE", KEY, 0, -1)) == [[b"\xff\r\n", b"\xff\r\n", b"x"]]


async def test_several_in_one_round_trip(opened: Store) -> None:
    calls = [APPEND.call([KEY], [text]) for text in "abc"]
    assert await opened.ask(*calls) == [1, 2, 3]  # each once, though Redis knew the script for none of them
    assert await opened.ask(calls[0], ("LLEN", KEY), *calls[1:]) == [4, 4, 5, 6]
    assert await opened.ask(("LRANGE", KEY, 0, -1)) == [[*[b"a", b"b", b"c"] * 2]]


async def test_the_source_is_sent_once(empty_redis_url: str) -> None:
    opened = store.connect(empty_redis_url, timeout_seconds=5)
    with redis.Redis.from_url(empty_redis_url) as operator:
        operator.script_flush()
        operator.config_resetstat()
        for _ in range(3):
            await opened.run(APPEND, keys=[KEY], args=["x"])
        calls = {name: stats["calls"] for name, stats in operator.info("commandstats").items()}
    await opened.close()
    assert (calls["cmdstat_evalsha"], calls["cmdstat_eval"]) == (3, 1)


async def test_what_redis_refuses_is_unavailable_without_data(opened: Store) -> None:
    secret = "hunter2"
    await opened.ask(("RPUSH", KEY, secret))
    for asked in (
        opened.run(WRONG, keys=[KEY]),
        opened.ask(("LLEN", KEY), ("GET", KEY)),
        opened.ask((secret, KEY)),
    ):
        with pytest.raises(Unavailable, match=r"^Redis refused \(\w+\); try again$") as caught:
            await asked
        assert secret not in str(caught.value)


async def test_who_asks_for_each_gets_errors_as_items(opened: Store) -> None:
    wrong, count = await opened.ask_each(WRONG.call(["relay:{x}:other"]), ("INCR", KEY))
    assert (wrong, count) == (None, 1)
    await opened.ask(("DEL", KEY), ("RPUSH", KEY, "x"))
    wrong, also_wrong, count = await opened.ask_each(WRONG.call([KEY]), ("GET", KEY), ("LLEN", KEY))
    assert count == 1
    assert isinstance(wrong, Exception)
    assert "WRONGTYPE" in str(also_wrong)
