"""``since`` across what owners deleted: no gap is told of it, and one of everything that is really lost."""

from __future__ import annotations

from typing import Any

import pytest

from relay.message_id import MessageId
from relay.store import keys
from tests.harness import ADDRESS, DOMAIN, Relay

pytestmark = pytest.mark.anyio


async def delete(relay: Relay, *ids: str, inbox: str = ADDRESS) -> None:
    for message_id in ids:
        answer = await relay.rest("DELETE", f"/api/addresses/{inbox}/messages/{message_id}")
        assert answer.status_code == 200, answer.text


async def delete_all(relay: Relay, inbox: str = ADDRESS) -> None:
    assert (await relay.rest("DELETE", f"/api/addresses/{inbox}/messages")).status_code == 204


async def many(relay: Relay, count: int) -> list[str]:
    return [await relay.send(str(number)) for number in range(count)]


async def missed(relay: Relay, since: str, addresses: str = ADDRESS) -> list[str]:
    """Subjects of what a new socket gets before a mail that is sent now, and deleted; a gap stands as its reason."""
    got: list[dict[str, Any]] = []
    async with relay.listen(addresses, since=since) as socket:
        live = await relay.send("live")
        while not got or got[-1].get("_id") != live:
            got.append(await socket.message())
    await delete(relay, live)
    return [frame.get("subject") or f"gap {frame['reason']}" for frame in got[:-1]]


async def lose(relay: Relay, message_id: str) -> None:
    """As trimming does it."""
    await relay.process.service.store.ask(("XDEL", keys.index(ADDRESS), MessageId.parse(message_id).entry))


async def test_in_the_middle_and_at_both_ends(relay: Relay) -> None:
    ids = await many(relay, 8)
    await delete(relay, ids[1], ids[2], ids[5], ids[7])
    assert await missed(relay, ids[0]) == ["3", "4", "6"]
    assert await missed(relay, ids[1]) == ["3", "4", "6"]  # from where a deleted one stood
    await delete(relay, ids[0])
    assert await missed(relay, "1h") == ["3", "4", "6"]
    assert await missed(relay, ids[6]) == []


async def test_everything(relay: Relay) -> None:
    ids = await many(relay, 4)
    await delete_all(relay)
    for since in (ids[0], ids[3], "1h"):
        assert await missed(relay, since) == []
        await delete_all(relay)


async def test_what_is_lost_beside_what_was_deleted_is_a_gap(relay: Relay) -> None:
    ids = await many(relay, 8)
    await delete(relay, ids[2], ids[3])
    await lose(relay, ids[4])
    assert await missed(relay, ids[1]) == ["gap expired", "5", "6", "7"]
    assert await missed(relay, ids[0]) == ["1", "gap expired", "5", "6", "7"]
    assert await missed(relay, ids[4]) == ["5", "6", "7"]


@pytest.mark.settings(keep_messages=5)
async def test_trimming_is_told_by_its_name_although_some_were_deleted(relay: Relay) -> None:
    ids = await many(relay, 9)  # 4 to 8 are kept
    await delete(relay, ids[5], ids[4])
    assert await missed(relay, ids[3]) == ["6", "7", "8"]
    assert await missed(relay, ids[2]) == ["gap trimmed", "6", "7", "8"]
    assert await missed(relay, "1h") == ["gap trimmed", "6", "7", "8"]


async def test_a_listener_that_stays_meets_no_gap(relay: Relay) -> None:
    async with relay.listen() as socket:
        for number in range(3):
            message_id = await relay.send(str(number))
            assert await socket.subject() == str(number)
            await delete(relay, message_id)
        large = b"Subject: large\r\n\r\n" + b"x" * 100_000  # announced, and read from the letterbox
        await relay.post(large, ADDRESS)
        assert await socket.subject() == "large"
        await delete_all(relay)
        await relay.send("after all")
        assert await socket.subject() == "after all"


async def test_an_inbox_of_a_domain(relay: Relay) -> None:
    inbox = f"any@{DOMAIN}"
    ids = [await relay.send(str(number), inbox) for number in range(3)]
    await delete(relay, ids[1], inbox=inbox)
    async with relay.listen(DOMAIN, since=ids[0]) as socket:
        assert await socket.subject() == "2"
        await delete_all(relay, inbox)
        await relay.send("live", inbox)
        assert await socket.subject() == "live"


@pytest.mark.settings(replay_limit=2)
async def test_a_replay_that_is_cut_short_tells_nothing_of_what_was_deleted(relay: Relay) -> None:
    second = "second@mailsac.com"
    first = await relay.send("0")
    one = await relay.send("one", second)
    two = await relay.send("two", second)
    await delete(relay, two, inbox=second)
    for number in range(1, 4):
        await relay.send(str(number))
    async with relay.listen(f"{ADDRESS},{second}", since=f"{first},{one}") as socket:
        assert [await socket.subject(), await socket.subject()] == ["1", "2"]
        gap = await socket.message()
        assert (gap["inbox"], gap["reason"]) == (ADDRESS, "trimmed")
        await relay.send("live")
        assert await socket.subject() == "live"
