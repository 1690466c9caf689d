"""Mail over as many connections as it takes: none is missed, none comes twice, and what is missing is said."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing

import pytest

from relay.client import BadTarget, Gap, Lost, NotWanted, Unusable, listen
from tests.client.conftest import Client, subjects
from tests.harness import ADDRESS, DOMAIN, KEY, OTHER_ADDRESS, QUIET_ADDRESS, Relay

pytestmark = pytest.mark.anyio

SECOND = "second@mailsac.com"


async def test_it_listens_when_the_body_begins(relay: Relay, client: Client) -> None:
    async with client.listen() as messages, relay.listen() as bare:
        message_id = await relay.send("Hello")
        message = await anext(messages)
        assert message == await bare.message()
        assert (message["_id"], message["inbox"]) == (message_id, ADDRESS)
    assert KEY not in client.link.requests[0]


async def test_what_came_while_it_was_cut_off_comes_first_and_once(relay: Relay, client: Client) -> None:
    async with client.listen(f"{ADDRESS},{SECOND}") as messages:
        for round_number in range(3):
            posted = [f"{round_number} {number}" for number in range(6)]
            await relay.send(posted[0])
            assert await subjects(messages, 1) == posted[:1]
            client.link.cut()
            for number, subject in enumerate(posted[1:]):
                await relay.send(subject, (ADDRESS, SECOND)[number % 2])
            assert await subjects(messages, 5) == posted[1:]
        assert client.waits == [0.5] * 3  # half of a first wait's limit


async def test_a_connection_that_broke_before_its_first_message_missed_none(relay: Relay, client: Client) -> None:
    async with client.listen() as messages:
        client.link.cut()
        await relay.send("meanwhile")
        assert await subjects(messages, 1) == ["meanwhile"]


async def test_the_first_mail_of_an_inbox_is_not_missed(relay: Relay, client: Client) -> None:
    async with client.listen(DOMAIN) as messages:
        await relay.send("1", f"known@{DOMAIN}")
        assert await subjects(messages, 1) == ["1"]
        client.link.cut()
        await relay.send("2", f"new@{DOMAIN}")
        await relay.send("3", f"known@{DOMAIN}")
        assert await subjects(messages, 2) == ["2", "3"]


async def test_since_counts_the_first_time_only(relay: Relay, client: Client) -> None:
    await relay.send("1")
    async with client.listen(since="10m") as messages:
        assert client.link.since.startswith("60")
        assert await subjects(messages, 1) == ["1"]
        client.link.cut()
        await relay.send("2")
        assert await subjects(messages, 1) == ["2"]


async def test_a_since_that_the_first_connection_did_not_finish_still_counts(relay: Relay, client: Client) -> None:
    first = await relay.send("1")
    await relay.send("2", SECOND)
    async with client.listen(f"{ADDRESS},{SECOND}", since=first) as messages:
        client.link.cut()
        client.link.cut()
        await relay.send("3")
        assert await subjects(messages, 2) == ["2", "3"]


@pytest.mark.settings(replay_limit=5)
async def test_more_than_is_replayed_at_once_comes_all_the_same(relay: Relay, client: Client) -> None:
    gaps: list[Gap] = []
    async with client.listen(f"{ADDRESS},{SECOND}", on_gap=gaps.append) as messages:
        await relay.send("first")
        assert await subjects(messages, 1) == ["first"]
        client.link.cut()
        posted = [str(number) for number in range(23)]
        for number, subject in enumerate(posted):
            await relay.send(subject, (ADDRESS, ADDRESS, SECOND)[number % 3])
        assert await subjects(messages, 12) == posted[:12]
        await relay.send("live")
        assert await subjects(messages, 12) == [*posted[12:], "live"]
    assert gaps == []
    assert len(client.waits) == 1  # for the cut alone
    assert len(client.link.requests) > 4


@pytest.mark.settings(keep_messages=3)
async def test_what_is_not_kept_is_told_in_its_place_and_once(relay: Relay, client: Client) -> None:
    got: list[object] = []
    async with client.listen(on_gap=got.append) as messages:
        last = await relay.send("0")
        got += await subjects(messages, 1)
        client.link.cut()
        ids = [await relay.send(str(number)) for number in range(1, 7)]
        got += await subjects(messages, 3)
        client.link.cut()
        await relay.send("end")
        got += await subjects(messages, 1)
    gap = Gap(ADDRESS, last, ids[3], "trimmed")
    assert got == ["0", gap, "4", "5", "6", "end"]
    assert ADDRESS in str(gap)
    assert "keeps" in str(gap)


async def test_a_gap_that_the_server_tells_at_each_connection_is_told_once(relay: Relay, client: Client) -> None:
    gaps: list[Gap] = []
    message_id = await relay.send("0")
    history, ms, _ = message_id.split("-")
    future = f"{history}-{ms}-99"
    async with client.listen(since=future, on_gap=gaps.append) as messages:
        waiting = asyncio.ensure_future(anext(messages))
        while not gaps:
            await relay.ready()
        client.link.cut()
        while len(client.link.requests) < 2:
            await relay.ready()
        await relay.send("new")
        assert (await waiting)["subject"] == "new"
    assert [(gap.after, gap.reason) for gap in gaps] == [(future, "epoch")]


async def test_without_on_gap_a_gap_is_a_warning(
    relay: Relay, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    message_id = await relay.send("0")
    other = f"{message_id[:10]}{'0' * 6 if message_id[10:16] != '0' * 6 else '1' * 6}{message_id[16:]}"
    with caplog.at_level(logging.WARNING, "relay.client"):
        async with client.listen(since=other) as messages:
            await subjects(messages, 1)
    [record] = caplog.records
    assert f"messages of {ADDRESS} after {other}" in record.getMessage()


@pytest.mark.parametrize(
    ("key", "addresses", "code", "sentence"),
    [
        ("no-such-key", ADDRESS, 4401, "this API key is unknown or revoked"),
        (KEY, OTHER_ADDRESS, 4403, "not reserved by this account"),
        (KEY, QUIET_ADDRESS, 4403, "forwarding is off"),
        (KEY, "not an address@", 4400, "addresses: "),
    ],
)
async def test_who_is_not_wanted_is_told_and_does_not_come_back(
    client: Client, key: str, addresses: str, code: int, sentence: str
) -> None:
    with pytest.raises(NotWanted, match=sentence) as refused:
        await anext(client.listen(addresses, key=key))
    assert refused.value.code == code
    assert key not in str(refused.value)
    assert len(client.link.requests) == 1


async def test_a_right_that_ends_ends_it(relay: Relay, client: Client) -> None:
    async with client.listen() as messages:
        await relay.rest("PUT", f"/api/addresses/{ADDRESS}", json={"enablews": False})
        with pytest.raises(NotWanted) as refused:
            await anext(messages)
        assert refused.value.code == 4403


async def test_another_path_is_not_wanted(relay: Relay) -> None:
    with pytest.raises(NotWanted, match="answers 404") as refused:
        await anext(listen(f"{relay.url}/elsewhere", key=KEY, addresses=[ADDRESS]))
    assert refused.value.code == 404


async def test_what_is_no_websocket_is_an_error_at_first_and_a_passing_thing_later(
    relay: Relay, client: Client
) -> None:
    client.link.confused = True
    with pytest.raises(Unusable, match="does not speak WebSocket"):
        await anext(client.listen())
    async with client.listen() as messages:
        client.link.cut()
        client.link.confused = True
        await relay.send("all the same")
        assert await subjects(messages, 1) == ["all the same"]
    assert len(client.waits) == 2


async def test_without_reconnect_a_cut_is_an_error(relay: Relay, client: Client) -> None:
    async with client.listen(reconnect=False) as messages:
        client.link.cut()
        with pytest.raises(Lost, match="the connection broke"):
            await anext(messages)
        with pytest.raises(StopAsyncIteration):
            await anext(messages)


async def test_a_peer_that_is_dead_is_noticed(relay: Relay, client: Client) -> None:
    async with client.listen(ping_seconds=0.1) as messages:
        client.link.deaf = True
        waiting = asyncio.ensure_future(anext(messages))
        await relay.send("unheard")
        while not client.waits:
            await relay.ready()
        client.link.deaf = False
        assert (await waiting)["subject"] == "unheard"


async def test_cancelling_ends_it_while_it_waits(relay: Relay, client: Client) -> None:
    messages = client.listen()
    listening = asyncio.Event()

    async def read() -> None:
        async with messages:
            listening.set()
            await anext(messages)

    task = asyncio.create_task(read())
    await listening.wait()
    assert len(relay.process.service.node.hub) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while len(relay.process.service.node.hub):
        await relay.ready()


async def test_closing_ends_it_without_a_context(relay: Relay, client: Client) -> None:
    async with aclosing(client.listen(since="1m")) as messages:
        await relay.send("1")
        async for message in messages:
            assert message["subject"] == "1"
            break
    while len(relay.process.service.node.hub):
        await relay.ready()
    assert [message async for message in messages] == []


async def test_a_restart_spreads_who_comes_back(relay: Relay, client: Client) -> None:
    async with client.listen() as messages:
        await relay.process.service.leave()
        waiting = asyncio.ensure_future(anext(messages))
        while len(client.waits) < 2:
            await relay.ready()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert client.waits[:2] == [2.5, 5.25]  # half of 5 s; between 0.5 and 10 s


async def test_a_message_that_is_too_large_ends_it_instead_of_coming_for_ever(
    relay: Relay, client: Client
) -> None:
    async with client.listen(max_frame_bytes=2000) as messages:
        await relay.post(b"Subject: large\r\n\r\n" + b"x" * 5000, ADDRESS)
        with pytest.raises(Unusable, match="2000 bytes of max_frame_bytes"):
            await anext(messages)


async def test_more_cursors_than_a_url_holds(relay: Relay, client: Client) -> None:
    inboxes = [f"box{number}@{DOMAIN}" for number in range(300)]
    async with client.listen(DOMAIN) as messages:
        for inbox in inboxes:
            await relay.send("old", inbox)
        await subjects(messages, len(inboxes))
        client.link.cut()
        for inbox in (inboxes[0], inboxes[-1], inboxes[150]):
            await relay.send(f"new {inbox}", inbox)
        assert await subjects(messages, 3) == [f"new {inboxes[place]}" for place in (0, -1, 150)]
    assert 6500 < len(client.link.requests[-1]) < 7100
    assert len(client.link.since.split(",")) > 150


@pytest.mark.parametrize(
    ("url", "key", "addresses"),
    [("ftp://h", KEY, [ADDRESS]), ("ws://h", KEY, []), ("ws://h", "", [ADDRESS]), ("ws://h", "k\ney", [ADDRESS])],
)
def test_what_cannot_be_called_is_an_error_at_once(url: str, key: str, addresses: list[str]) -> None:
    with pytest.raises(BadTarget) as refused:
        listen(url, key=key, addresses=addresses)
    assert "k\ney" not in str(refused.value)
