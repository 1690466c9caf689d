"""``since``: what was missed comes first, in order and once; then what is live; what is missing is said."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests import harness
from tests.harness import ADDRESS, DOMAIN, KEY, OTHER_ADDRESS, OTHER_KEY, Relay

pytestmark = pytest.mark.anyio

SECOND = "second@mailsac.com"


async def frames(relay: Relay, *, until: str, addresses: str = ADDRESS, **query: str) -> list[dict[str, Any]]:
    """All frames of a new socket, up to the message with that subject."""
    got: list[dict[str, Any]] = []
    async with relay.listen(addresses, **query) as socket:
        while not got or got[-1].get("subject") != until:
            got.append(await socket.message())
    return got


async def missed(relay: Relay, *, until: str, **query: str) -> list[str]:
    """Subjects of what a new socket gets; a gap stands as its reason."""
    return [
        frame.get("subject") or f"gap {frame['reason']}" for frame in await frames(relay, until=until, **query)
    ]


async def test_what_came_after_an_id_comes_before_what_is_live(relay: Relay) -> None:
    first = await relay.send("0")
    for number in range(1, 6):
        await relay.send(str(number))
    async with relay.listen(since=first) as socket:
        assert [await socket.subject() for _ in range(5)] == ["1", "2", "3", "4", "5"]
        await relay.send("live")
        assert await socket.subject() == "live"


async def test_nothing_is_missing_between_history_and_live(relay: Relay) -> None:
    """Mail is posted all the while; each socket gets every one after its cursor, once and in order."""
    first = await relay.send("first")
    done = asyncio.Event()
    sent = 1

    async def post() -> None:
        nonlocal sent
        while not done.is_set():
            await relay.send("more")
            sent += 1

    posting = asyncio.create_task(post())
    try:
        for _ in range(20):
            async with relay.listen(since=first) as socket:
                target = sent + 10
                got = [(await socket.message())["_id"].split("-")[2] for _ in range(target)]
                assert got == [str(number) for number in range(2, target + 2)]
    finally:
        done.set()
        await posting


async def test_the_newest_id_brings_nothing_old(relay: Relay) -> None:
    await relay.send("old")
    newest = await relay.send("newest")
    async with relay.listen(since=newest) as socket:
        await relay.send("new")
        assert await socket.subject() == "new"


async def test_one_id_for_several_inboxes_is_enough(relay: Relay) -> None:
    await relay.send("a1")
    last = await relay.send("b1", SECOND)
    for subject, to in (("a2", ADDRESS), ("b2", SECOND), ("a3", ADDRESS), ("end", SECOND)):
        await relay.send(subject, to)
    got = await missed(relay, until="end", addresses=f"{ADDRESS},{SECOND}", since=last)
    assert [one for one in got if one != "a1"] == ["a2", "b2", "a3", "end"]  # a1 may share its millisecond


async def test_one_id_of_each_inbox(relay: Relay) -> None:
    first = await relay.send("a1"), await relay.send("b1", SECOND)
    await relay.send("a2")
    await relay.send("b2", SECOND)
    await relay.send("end")
    got = await missed(relay, until="end", addresses=f"{ADDRESS},{SECOND}", since=",".join(first))
    assert got == ["a2", "b2", "end"]


@pytest.mark.parametrize("form", ["10m", "1h", "2d", "moment", "moment with blank"])
async def test_a_time(relay: Relay, form: str) -> None:
    moment = datetime.now(UTC).isoformat()
    await relay.send("1")
    await relay.send("end")
    since = {"moment": moment, "moment with blank": moment.replace("+", " ")}.get(form, form)
    assert await missed(relay, until="end", since=since) == ["1", "end"]


async def test_a_whole_domain(relay: Relay) -> None:
    first = await relay.send("1", f"one@{DOMAIN}")
    await relay.send("2", f"two@{DOMAIN}")
    await relay.send("3", f"one@{DOMAIN}")
    await relay.send("end", f"new@{DOMAIN}")
    assert await missed(relay, until="end", addresses=DOMAIN, since=first) == ["2", "3", "end"]
    assert await missed(relay, until="end", addresses=DOMAIN, since="1m") == ["1", "2", "3", "end"]


@pytest.mark.settings(keep_messages=3)
async def test_more_than_is_kept_is_a_gap(relay: Relay) -> None:
    first = await relay.send("0")
    ids = [await relay.send(str(number)) for number in range(1, 7)]
    gap, *rest = await frames(relay, until="6", since=first)
    assert gap == {
        "status": 206,
        "msg": "Gap",
        "inbox": ADDRESS,
        "after": first,
        "next": ids[3],
        "reason": "trimmed",
    }
    assert [one["subject"] for one in rest] == ["4", "5", "6"]
    assert await missed(relay, until="6", since="1h") == ["gap trimmed", "4", "5", "6"]


@pytest.mark.settings(replay_limit=2)
async def test_more_than_is_replayed_is_a_gap_that_can_be_read_on(relay: Relay) -> None:
    first = await relay.send("0")
    ids = [await relay.send(str(number)) for number in range(1, 6)]
    async with relay.listen(since=first) as socket:
        assert [await socket.subject(), await socket.subject()] == ["1", "2"]
        gap = await socket.message()
        assert (gap["reason"], gap["after"], gap["next"]) == ("trimmed", ids[1], None)
        await relay.send("live")
        assert await socket.subject() == "live"
    async with relay.listen(since=gap["after"]) as socket:
        assert [await socket.subject(), await socket.subject()] == ["3", "4"]


async def test_another_epoch_is_a_gap(relay: Relay) -> None:
    message_id = await relay.send("0")
    other = f"{message_id[:10]}{'0' * 6 if message_id[10:16] != '0' * 6 else '1' * 6}{message_id[16:]}"
    await relay.send("end")
    assert await missed(relay, until="end", since=other) == ["gap epoch", "0", "end"]


async def test_an_id_from_the_future_is_a_gap(relay: Relay) -> None:
    history, ms, _ = (await relay.send("0")).split("-")
    async with relay.listen(since=f"{history}-{int(ms) + 10_000}-99") as socket:
        assert (await socket.message())["reason"] == "epoch"
        await relay.send("live")
        assert await socket.subject() == "live"


async def test_in_the_envelope_format(relay: Relay) -> None:
    first = await relay.send("0")
    await relay.send("1")
    async with relay.listen(since=first, frames="envelope") as socket:
        assert (await socket.message())["msg"] == "Listening"
        assert (await socket.message())["email"]["subject"] == "1"


@pytest.mark.parametrize(
    ("since", "why"),
    [
        ("x", "no _id of a message"),
        ("0123456789abcdef-1-1", "not of an address that this socket listens to"),
        ("10m,1h", "more than one time"),
        ("2099-01-01T00:00:00Z", "a time in the future"),
        ("2024-02-31T00:00:00Z", "no such date"),
        (",".join(["0123456789abcdef-1-1"] * 1001), "the limit is 1000"),
        ("10x", "no _id of a message"),
        ("é", "no _id of a message"),
    ],
)
async def test_a_wrong_since_is_told(relay: Relay, since: str, why: str) -> None:
    async with connect(relay.socket_url(key=KEY, addresses=ADDRESS, since=since), proxy=None) as socket:
        frame = json.loads(await socket.recv())
        assert frame["status"] == 400
        assert "since" in frame["error"]
        assert why in frame["error"]
        await socket.wait_closed()
        assert socket.close_code == 4400


async def test_ten_thousand_ids_are_told_too(tmp_path: Path) -> None:
    """Other servers refuse so long a request line before they ask us."""
    many = ",".join(f"0123456789abcdef-1795264649790-{number}" for number in range(10_000))
    async with (
        harness.relay("memory://", tmp_path) as relay,
        connect(relay.socket_url(key=KEY, addresses=ADDRESS, since=many), proxy=None) as socket,
    ):
        assert "too long" in json.loads(await socket.recv())["error"]
        await socket.wait_closed()
        assert socket.close_code == 4400


async def test_an_id_of_another_account_is_refused(relay: Relay) -> None:
    theirs = await relay.send("theirs", OTHER_ADDRESS)
    async with connect(relay.socket_url(key=KEY, addresses=ADDRESS, since=theirs), proxy=None) as socket:
        await socket.wait_closed()
        assert socket.close_code == 4400


async def test_what_came_for_a_former_owner_is_not_replayed(relay: Relay) -> None:
    shared = "handed.over@mailsac.com"
    await relay.rest("POST", f"/api/addresses/{shared}")
    await relay.rest("PUT", f"/api/addresses/{shared}", json={"enablews": True})
    await relay.send("secret", shared)
    await relay.rest("DELETE", f"/api/addresses/{shared}")
    await relay.rest("POST", f"/api/addresses/{shared}", key=OTHER_KEY)
    await relay.rest("PUT", f"/api/addresses/{shared}", key=OTHER_KEY, json={"enablews": True})
    async with relay.listen(shared, key=OTHER_KEY, since="1h") as socket:
        await relay.send("mine", shared)
        assert await socket.subject() == "mine"


async def test_a_large_mail_among_small_ones_is_replayed_in_its_place(relay: Relay) -> None:
    first = await relay.send("0")
    await relay.send("1")
    answer = await relay.post(b"Subject: large\r\n\r\n" + b"x" * 3_000_000, ADDRESS)
    assert answer.status_code == 200
    await relay.send("end")
    async with relay.listen(since=first) as socket:
        socket.connection.protocol.max_message_size = None
        assert [await socket.subject() for _ in range(3)] == ["1", "large", "end"]
