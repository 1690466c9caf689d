"""``GET /api/activity``: pages, filters, waiting, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest

from relay.activity import reader, recorder
from tests import harness
from tests.activity.events import events, until
from tests.harness import ADDRESS, DOMAIN, KEY, OTHER_KEY, Relay

pytestmark = pytest.mark.anyio

PATH = "/api/activity"


async def received(relay: Relay, *subjects: str) -> None:
    """So many mails, each with its event written."""
    for subject in subjects:
        await relay.send(subject, f"{subject}@{DOMAIN}")
    await until(relay, *["unheard"] * len(subjects))


async def test_pages_forward_miss_nothing(relay: Relay) -> None:
    await received(relay, "a", "b", "c")
    every = await events(relay)
    assert [event["_id"] for event in every] == sorted((event["_id"] for event in every), key=place, reverse=True)
    assert await events(relay, limit="2") == every[:2]
    cursor, pages = "0-0", []
    while True:
        answer = (await relay.rest("GET", PATH, params={"since": cursor, "limit": "4"})).json()
        if not answer["events"]:
            assert answer["cursor"] == cursor == every[0]["_id"]
            break
        assert answer["cursor"] == answer["events"][0]["_id"]
        cursor = answer["cursor"]
        pages += answer["events"][::-1]
    assert pages == every[::-1]
    # an _id is a cursor
    assert await events(relay, since=every[2]["_id"]) == every[:2]
    # with a filter the cursor is behind what was looked through
    of_b = (await relay.rest("GET", PATH, params={"inbox": f"B@{DOMAIN}"})).json()
    assert {event["inbox"] for event in of_b["events"]} == {f"b@{DOMAIN}"}
    assert of_b["cursor"] == every[0]["_id"]
    assert await events(relay, inbox=f"nobody@{DOMAIN}", since="0-0") == []


async def test_one_address_brings_what_concerns_it(relay: Relay) -> None:
    first = await relay.send("before")
    await relay.send("kept")
    async with relay.listen(since=first) as socket, relay.listen("second@mailsac.com"):
        await socket.message()
    async with relay.listen(f"user2@mailsac.com,{ADDRESS}") as socket:
        assert (await socket.closed())[0] == 4403
    await relay.post(harness.MAIL, "user1+shop@mailsac.com")
    await until(relay, "near-miss", "socket-refused", *["socket-closed"] * 2)
    seen = await events(relay, inbox=ADDRESS)
    assert {event["kind"] for event in seen} == {
        *("unheard", "socket-opened", "replayed", "socket-closed", "socket-refused", "near-miss")
    }
    assert all(ADDRESS in event["text"] for event in seen)
    second = await events(relay, inbox="second@mailsac.com")
    assert [event["kind"] for event in second] == ["socket-closed", "socket-opened"]
    async with relay.listen(DOMAIN):
        pass
    await until(relay, *["socket-closed"] * 3)
    of_domain = await events(relay, inbox=f"any@{DOMAIN}")
    assert [event["kind"] for event in of_domain] == ["socket-closed", "socket-opened"]


def place(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-")))


async def test_who_waits_is_answered_when_something_is_there(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_LOOK_SECONDS", 60)  # it is woken, and does not happen to look
    loop = asyncio.get_running_loop()
    empty = (await relay.rest("GET", PATH, params={"wait": "0.1"})).json()
    assert empty == {"events": [], "cursor": "0-0"}
    started = loop.time()
    other = asyncio.create_task(relay.rest("GET", PATH, key=OTHER_KEY, params={"wait": "0.5"}))
    waiting = asyncio.create_task(relay.rest("GET", PATH, params={"wait": "60", "inbox": ADDRESS}))
    await relay.send("else", f"else@{DOMAIN}")
    await relay.send("this")
    answer = (await waiting).json()
    assert {event["inbox"] for event in answer["events"]} == {ADDRESS}
    assert loop.time() - started < 10
    assert (await other).json()["events"] == []
    assert loop.time() - started >= 0.5


async def test_too_many_who_wait_are_told(relay: Relay) -> None:
    tasks = [asyncio.create_task(relay.rest("GET", PATH, params={"wait": "60"})) for _ in range(25)]
    done, waiting = set[asyncio.Task[httpx2.Response]](), set(tasks)
    while len(waiting) > 20:
        ended, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        done |= ended
    assert {task.result().status_code for task in done} == {429}
    assert all("wait" in task.result().json()["error"] for task in done)
    assert (await relay.rest("GET", PATH, key=OTHER_KEY, params={"wait": "0.001"})).status_code == 200
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    # a client that has gone makes room
    while (await relay.rest("GET", PATH, params={"wait": "0.001"})).status_code != 200:
        pass


async def test_a_key_that_is_revoked_while_it_waits_reads_nothing_more(relay: Relay) -> None:
    [own] = [key["id"] for key in (await relay.rest("GET", "/api/keys")).json() if not key["current"]]
    query = {"wait": "60", "inbox": ADDRESS}
    asking = [asyncio.create_task(relay.rest("GET", PATH, key=f"second-{KEY}", params=query)) for _ in range(21)]
    # One is refused, so the others wait by now.
    _, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    assert (await relay.rest("DELETE", f"/api/keys/{own}")).status_code == 200
    await relay.send("after the revoke")
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {401}


async def test_who_waits_does_not_hold_up_the_end(
    empty_redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_GATHER_SECONDS", 60)  # else what happened last is written in time by chance
    async with harness.relay(empty_redis_url, tmp_path) as relay:
        waiting = asyncio.create_task(relay.rest("GET", PATH, params={"wait": "60", "inbox": ADDRESS}))
        async with relay.listen() as socket:  # the wait has begun by then
            relay.process.stop()
            assert (await socket.closed())[0] == 1012
        assert (await waiting).status_code == 200
    # what happened last is written before the process is gone
    async with harness.relay(empty_redis_url, tmp_path) as relay:
        closed, opened = (await events(relay))[:2]
        assert (closed["kind"], closed["code"], opened["kind"]) == ("socket-closed", 1012, "socket-opened")
