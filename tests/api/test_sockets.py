"""REST of the sockets that are open now."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from relay.store import keys
from tests import harness
from tests.harness import ADDRESS, DOMAIN, KEY, OTHER_ADDRESS, OTHER_KEY, Relay

pytestmark = pytest.mark.anyio

OTHER_OF_MINE = "second@mailsac.com"


@pytest.fixture(params=["slim", "portable"])
async def relay(
    redis_url: str, tmp_path: Path, request: pytest.FixtureRequest, anyio_backend: Any
) -> AsyncIterator[Relay]:
    async with harness.relay(redis_url, tmp_path, portable=request.param == "portable") as running:
        yield running


async def sockets(relay: Relay, **how: Any) -> list[dict[str, Any]]:
    answer = await relay.rest("GET", "/api/sockets", **how)
    assert answer.status_code == 200, answer.text
    shown: list[dict[str, Any]] = answer.json()
    assert answer.headers["x-total-count"] == str(len(shown))
    return shown


async def until(relay: Relay, count: int) -> list[dict[str, Any]]:
    """An answer may be a second old."""
    while len(shown := await sockets(relay)) != count:
        pass
    return shown


async def test_what_is_told_of_a_socket(relay: Relay) -> None:
    async with relay.listen(f"{OTHER_OF_MINE},{ADDRESS}") as first:
        async with relay.listen(f"{ADDRESS},{DOMAIN}", frames="envelope") as second:
            await second.message()
            for subject in ("one", "two"):
                await relay.send(subject)
                assert await first.subject() == subject
            one, two = await sockets(relay)
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one.pop("opened"))
        assert one.pop("id") != two["id"]
        assert one == {
            "process": two["process"],
            "addresses": [OTHER_OF_MINE, ADDRESS],
            "domains": [],
            "frames": "message",
            "client": "127.0.0.1",
            "waitingBytes": 0,
            "delivered": 2,
        }
        assert (two["addresses"], two["domains"], two["frames"]) == ([ADDRESS], [DOMAIN], "envelope")
        [left] = await until(relay, 1)
        assert left["addresses"] == one["addresses"]


async def test_sockets_of_others_are_not_told(relay: Relay) -> None:
    async with relay.listen(OTHER_ADDRESS, key=OTHER_KEY), relay.listen(ADDRESS):
        for key, address in ((OTHER_KEY, OTHER_ADDRESS), (KEY, ADDRESS)):
            [one] = await sockets(relay, key=key)
            assert one["addresses"] == [address]
    for key in ("", "wrong"):
        assert (await relay.rest("GET", "/api/sockets", key=key)).status_code == 401


async def test_what_a_reader_has_not_taken_yet_is_its_lag(empty_redis_url: str, tmp_path: Path) -> None:
    mail = b"Subject: large\r\n\r\n" + b"x" * 2_000_000
    async with harness.relay(empty_redis_url, tmp_path, socket_buffer_bytes=64 * 1024 * 1024) as relay:
        url = relay.socket_url(key=harness.KEY, addresses=ADDRESS)
        async with connect(url, proxy=None, max_queue=1, max_size=None, close_timeout=0):
            for _ in range(6):
                assert (await relay.post(mail, ADDRESS)).status_code == 200
            while not any(one["waitingBytes"] > 1_000_000 for one in await sockets(relay)):
                pass


async def test_all_processes_answer(empty_redis_url: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        pair = [await stack.enter_async_context(harness.relay(empty_redis_url, tmp_path)) for _ in range(2)]
        for relay in pair:
            await stack.enter_async_context(relay.listen())
        for relay in pair:
            shown = await sockets(relay)
            assert len({socket["process"] for socket in shown}) == 2


async def test_a_process_that_says_nothing_is_waited_for_a_second_only(redis_url: str, tmp_path: Path) -> None:
    async with (
        harness.relay(redis_url, tmp_path) as relay,
        relay.listen(),
        relay.process.service.store.client.pubsub() as deaf,
    ):
        await deaf.subscribe(keys.SURVEY)
        while await deaf.get_message(timeout=10) is None:
            pass
        assert len(await sockets(relay)) == 1


async def test_more_than_an_answer_may_hold_are_counted(empty_redis_url: str, tmp_path: Path) -> None:
    many = [f"{'x' * 60}{number}@{DOMAIN}" for number in range(100)]
    async with harness.relay(empty_redis_url, tmp_path) as relay, AsyncExitStack() as stack:
        await relay.rest("POST", "/api/private-addresses-bulk", json={"addresses": many})
        await asyncio.gather(
            *(relay.rest("PUT", f"/api/addresses/{one}", json={"enablews": True}) for one in many)
        )
        for _ in range(9):
            await stack.enter_async_context(relay.listen(",".join(many)))
        answer = await relay.rest("GET", "/api/sockets")
        assert answer.headers["x-total-count"] == "9"
        assert 0 < len(answer.json()) < 9
        assert len(answer.content) < 64 * 1024


async def test_what_others_publish_on_these_channels_harms_nobody(redis_url: str, tmp_path: Path) -> None:
    async with harness.relay(redis_url, tmp_path) as relay, relay.listen() as socket:
        store, survey = relay.process.service.store, relay.process.service.node.survey
        for payload in (b"", b"\xff\n\n", b"a\nb\nc", b"a\n" + b"9" * 30 + b"\nc", json.dumps({}).encode()):
            await store.ask(("PUBLISH", keys.SURVEY, payload), ("PUBLISH", survey.channel, payload))
        assert len(await sockets(relay)) == 1
        await relay.send("still here")
        assert await socket.subject() == "still here"
