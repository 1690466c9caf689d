"""The main job: a mail posted over HTTP reaches the authenticated WebSocket that listens for its address."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.harness import ADDRESS, DOMAIN, KEY, MAIL, OTHER_ADDRESS, OTHER_KEY, QUIET_ADDRESS, Relay

pytestmark = pytest.mark.anyio


async def test_mail_reaches_the_socket_that_listens(relay: Relay) -> None:
    async with relay.listen(ADDRESS) as socket:
        answer = await relay.post(MAIL, ADDRESS)
        message = await socket.message()
    assert answer.status_code == 200
    assert answer.json() == {"accepted": [{"inbox": ADDRESS, "_id": message["_id"]}], "rejected": []}
    assert message["inbox"] == message["originalInbox"] == ADDRESS
    assert message["domain"] == "mailsac.com"
    assert message["raw"].encode() == MAIL
    assert message["from"] == [{"address": "ann@sender.test", "name": "Ann"}]
    assert message["subject"] == "Hello"
    assert message["text"] == "Hello, world.\n"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["received"])


async def test_ids_tell_the_inbox_and_rise_by_one(relay: Relay) -> None:
    ids = [await relay.send(str(number)) for number in range(3)]
    tags, _, sequence = zip(*(message_id.split("-") for message_id in ids), strict=True)
    assert len(set(tags)) == 1
    assert [int(number) for number in sequence] == [1, 2, 3]
    assert (await relay.send("x", "second@mailsac.com")).split("-")[0] not in tags


async def test_each_recipient_gets_a_message_of_its_own(relay: Relay) -> None:
    async with relay.listen(ADDRESS) as first, relay.listen(OTHER_ADDRESS, key=OTHER_KEY) as second:
        answer = await relay.post(MAIL, ADDRESS, OTHER_ADDRESS, ADDRESS.upper())
        messages = [await first.message(), await second.message()]
    assert [message["inbox"] for message in messages] == [ADDRESS, OTHER_ADDRESS]
    assert [one["_id"] for one in answer.json()["accepted"]] == [message["_id"] for message in messages]


async def test_order_is_kept(relay: Relay) -> None:
    async with relay.listen(ADDRESS) as socket:
        for number in range(50):
            await relay.send(str(number))
        assert [await socket.subject() for _ in range(50)] == [str(number) for number in range(50)]


async def test_a_large_mail_keeps_its_place_and_arrives_whole(relay: Relay) -> None:
    """Larger than a doorbell carries: announced, and read from the letterbox."""
    large = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 300_000
    async with relay.listen(ADDRESS) as socket:
        socket.connection.protocol.max_message_size = None
        await relay.send("before")
        assert (await relay.post(large, ADDRESS)).status_code == 200
        await relay.send("after")
        assert await socket.subject() == "before"
        message = await socket.message()
        assert (message["subject"], message["raw"].encode()) == ("large", large)
        assert await socket.subject() == "after"


async def test_a_domain_hears_all_its_mail_once(relay: Relay) -> None:
    async with relay.listen(f"{DOMAIN},{ADDRESS}") as socket:
        await relay.send("anybody", f"anybody@{DOMAIN}")
        await relay.rest("POST", f"/api/addresses/reserved@{DOMAIN}", json={"enablews": True})
        await relay.send("reserved", f"reserved@{DOMAIN}")
        await relay.send("address", ADDRESS)
        assert [await socket.subject() for _ in range(3)] == ["anybody", "reserved", "address"]


async def test_an_address_and_its_domain_on_one_socket_deliver_once(relay: Relay) -> None:
    await relay.rest("POST", f"/api/addresses/both@{DOMAIN}", json={"enablews": True})
    async with relay.listen(f"{DOMAIN},both@{DOMAIN}") as socket:
        await relay.send("once", f"both@{DOMAIN}")
        await relay.send("next", f"both@{DOMAIN}")
        assert [await socket.subject() for _ in range(2)] == ["once", "next"]


async def test_forwarding_off_is_off_for_the_domain_too(relay: Relay) -> None:
    await relay.rest("POST", f"/api/addresses/off@{DOMAIN}", json={})
    answer = await relay.post(MAIL, f"off@{DOMAIN}")
    assert answer.json()["rejected"] == [{"inbox": f"off@{DOMAIN}", "reason": "forwarding off"}]


@pytest.mark.parametrize(
    ("recipient", "reason"),
    [
        ("nobody@mailsac.com", "not reserved"),
        ("anybody@elsewhere.test", "not reserved"),
        (QUIET_ADDRESS, "forwarding off"),
        ("no address", "not an address"),
    ],
)
async def test_mail_that_nobody_may_have_is_answered_200_with_the_reason(
    relay: Relay, recipient: str, reason: str
) -> None:
    answer = await relay.post(MAIL, recipient)
    assert answer.status_code == 200
    assert answer.json() == {"accepted": [], "rejected": [{"inbox": recipient, "reason": reason}]}


async def test_envelope_frames(relay: Relay) -> None:
    async with relay.listen(f"{ADDRESS},{DOMAIN}", frames="envelope") as socket:
        assert await socket.message() == {
            "status": 200,
            "msg": "Listening",
            "addresses": [ADDRESS],
            "domains": [DOMAIN],
        }
        message_id = await relay.send("wrapped")
        frame = await socket.message()
    assert frame["status"] == 200
    assert (frame["email"]["_id"], frame["email"]["subject"]) == (message_id, "wrapped")


async def test_many_sockets_share_an_address_and_leave(relay: Relay) -> None:
    async with relay.listen(ADDRESS) as staying:
        async with relay.listen(ADDRESS) as leaving:
            await relay.send("both")
            assert [await staying.subject(), await leaving.subject()] == ["both", "both"]
        await relay.send("one")
        assert await staying.subject() == "one"


async def test_listening_again_after_the_last_left(relay: Relay) -> None:
    for number in range(20):
        async with relay.listen(ADDRESS) as socket:
            await relay.send(str(number))
            assert await socket.subject() == str(number)


async def test_what_is_posted_the_moment_a_socket_opens_arrives(relay: Relay) -> None:
    async def one(number: int) -> None:
        address = f"n{number}@{DOMAIN}"
        await relay.rest("POST", f"/api/addresses/{address}", json={"enablews": True})
        async with relay.listen(address) as socket:
            await relay.send(str(number), address)
            assert await socket.subject() == str(number)

    await asyncio.gather(*(one(number) for number in range(40)))


@pytest.mark.parametrize(
    "path", ["/api/me", "/docs", "/api/addresses", "/incoming-messages", "/livez", "/nothing"]
)
async def test_nobody_is_sent_elsewhere_with_a_key(relay: Relay, path: str) -> None:
    """A slash too many: the query may hold a key, and the Host may be anybody's."""
    asked = {"_mailsacKey": KEY}, {"host": "evil.test"}
    for http in (relay.http, relay.internal):
        bare, slash = [await http.get(each, params=asked[0], headers=asked[1]) for each in (path, f"{path}/")]
        assert "location" not in slash.headers
        assert slash.status_code == (404 if http is relay.internal else bare.status_code)
