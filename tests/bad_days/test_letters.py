"""Bad days of letters that lie beside their rows: cut off between the two, a full Redis, one of them gone."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest
import redis

from relay.message_id import MessageId
from relay.store import Script, keys
from tests import harness
from tests.bad_days.listener import Listener
from tests.bad_days.posting import Mail, Poster
from tests.bad_days.proxy import Proxy
from tests.harness import ADDRESS
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

_PUBLISH = Script.load("delivery/lua/publish.lua").sha1.encode()
_LARGE = base64.encodebytes(random.Random(1).randbytes(600_000))
_INCOMING = keys.incoming(ADDRESS, "*")


def place(mail: Mail) -> MessageId:
    assert mail.id is not None
    return mail.id


async def test_cut_off_between_letter_and_row(server: RedisServer, tmp_path: Path) -> None:
    """As a process that is killed there: the sender is told, nothing stays for long, the next try is one mail."""
    async with (
        Proxy(server.port) as proxy,
        harness.relay(proxy.url, tmp_path) as relay,
        Poster(relay.url, body=_LARGE) as poster,
        Listener(relay.url) as listener,
    ):
        await poster.mark()
        proxy.cut_before(_PUBLISH)
        assert (await poster.post()).status == 503
        await proxy.was_cut.wait()
        with redis.Redis.from_url(server.url) as client:
            [left] = client.keys(_INCOMING)
            assert 0 < client.pttl(left) <= 60_000
            assert client.xlen(keys.index(ADDRESS)) == 1
        end = await poster.mark()
        await listener.has(end.token)
        assert len(listener.tokens()) == 2
        assert not listener.gaps


async def test_a_full_redis_refuses_both_or_keeps_both(server: RedisServer, tmp_path: Path) -> None:
    """Whatever the moment in which it is full, 503 and nothing of the mail, or 200 and all of it."""
    async with harness.relay(server.url, tmp_path) as relay, Poster(relay.url, body=_LARGE) as poster:
        await poster.mark()
        statuses = set()
        with redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory-policy", "noeviction")
            used = int(client.info("memory")["used_memory"])
            # From what has no room for the letter to what has room for some.
            for room in range(0, 3_000_000, 250_000):
                client.config_set("maxmemory", used + room)
                mail = await poster.post()
                statuses.add(mail.status)
                rows, letters = client.xlen(keys.index(ADDRESS)), client.keys(keys.letter(ADDRESS, "*"))
                assert rows == len(letters) == int(client.hget(keys.meta(ADDRESS), "letters") or 0)
                assert all(0 < client.pttl(one) <= 60_000 for one in client.keys(_INCOMING))
            client.config_set("maxmemory", 0)
        assert statuses == {200, 503}
        assert (await poster.post()).status == 200


async def test_a_letter_that_is_gone_while_its_row_is_there_is_a_gap(server: RedisServer, tmp_path: Path) -> None:
    """Redis evicted it, or somebody deleted the key: whoever resumes is told, and REST says that it is gone."""
    async with harness.relay(server.url, tmp_path) as relay, Poster(relay.url) as poster:
        first, second, third = [await poster.mark() for _ in range(3)]
        with redis.Redis.from_url(server.url) as client:
            assert client.delete(keys.letter(ADDRESS, place(second).place)) == 1
        async with relay.listen(since=str(place(first))) as socket:
            gap = await socket.message()
            assert (gap["status"], gap["msg"], gap["inbox"]) == (206, "Gap", ADDRESS)
            assert (await socket.message())["subject"] == third.token
        assert (await relay.rest("GET", f"/api/raw/{ADDRESS}/{place(second)}")).status_code == 404


async def test_a_row_that_is_gone_while_its_letter_is_there_is_a_gap(server: RedisServer, tmp_path: Path) -> None:
    async with harness.relay(server.url, tmp_path) as relay, Poster(relay.url) as poster:
        first, second, third = [await poster.mark() for _ in range(3)]
        with redis.Redis.from_url(server.url) as client:
            assert client.xdel(keys.index(ADDRESS), place(second).entry) == 1
        async with relay.listen(since=str(place(first))) as socket:
            assert (await socket.message())["msg"] == "Gap"
            assert (await socket.message())["subject"] == third.token
        assert (await relay.rest("GET", f"/api/raw/{ADDRESS}/{place(second)}")).status_code == 404
