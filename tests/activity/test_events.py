"""Why did nothing arrive? What happens to the mail of an account is told to that account, and to nobody else."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect

from tests.activity.events import Events, brief, events, of_all, until
from tests.harness import (
    ADDRESS,
    DOMAIN,
    KEY,
    MAIL,
    OTHER_ADDRESS,
    OTHER_KEY,
    QUIET_ADDRESS,
    SECRET,
    Relay,
)

pytestmark = pytest.mark.anyio

SECOND = "second@mailsac.com"


def one(some: Events, kind: str) -> dict[str, object]:
    [event] = [event for event in some if event["kind"] == kind]
    return event


def said(event: dict[str, object]) -> dict[str, object]:
    """Without what differs each time."""
    assert re.fullmatch(r"\d+-\d+", str(event["_id"]))
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(event["time"]))
    return {name: value for name, value in event.items() if name not in ("_id", "time")}


async def test_the_way_of_a_mail(relay: Relay) -> None:
    async with relay.listen() as socket, relay.listen(f"{ADDRESS},{DOMAIN}"):
        answer = await relay.post(MAIL, ADDRESS)
        await socket.message()
    message_id = answer.json()["accepted"][0]["_id"]
    seen = await until(relay, "received", "delivered", "socket-closed", "socket-closed")
    assert [event["kind"] for event in seen][2:4] == ["received", "delivered"]
    opened = [said(event) for event in seen if event["kind"] == "socket-opened"]
    assert opened[0] == {
        "kind": "socket-opened",
        "text": f"A socket opened and listens to {ADDRESS}.",
        "addresses": ADDRESS,
        "client": "127.0.0.1",
    }
    assert opened[1]["addresses"] == f"{DOMAIN}, {ADDRESS}"
    assert said(one(seen, "received")) == {
        "kind": "received",
        "text": f"Mail of {len(MAIL)} bytes from ann@sender.test for {ADDRESS} arrived.",
        "inbox": ADDRESS,
        "from": "ann@sender.test",
        "messageId": message_id,
        "size": len(MAIL),
    }
    assert said(one(seen, "delivered")) == {
        "kind": "delivered",
        "text": f"Mail for {ADDRESS} was handed to 2 sockets.",
        "inbox": ADDRESS,
        "messageId": message_id,
        "sockets": 2,
    }
    assert await events(relay, key=OTHER_KEY) == []


async def test_a_request_that_waits_is_called_one(relay: Relay) -> None:
    path = f"/api/addresses/{ADDRESS}/messages?wait=25&subject=end"
    waiting = asyncio.create_task(relay.rest("GET", path))
    handed = f"Mail for {ADDRESS} was handed to "
    while f"{handed}1 request that waits." not in {event["text"] for event in await events(relay)}:
        await relay.send("before it is there, or heard by it alone")
    async with relay.listen() as socket:
        await relay.send("the end")
        await socket.message()
    assert (await waiting).status_code == 200
    seen = await until(relay, "socket-closed")
    assert f"{handed}1 socket and 1 request that waits." in {event["text"] for event in seen}


async def test_mail_that_nobody_hears(relay: Relay) -> None:
    await relay.send("alone")
    seen = await until(relay, "unheard")
    assert brief(seen) == [("unheard", ADDRESS)]
    assert seen[0]["text"] == (
        f"Mail of 24 bytes for {ADDRESS} arrived while nobody listened;"
        " it is kept: read it in the inbox, or with since."
    )


async def test_mail_that_is_refused(relay: Relay) -> None:
    await relay.post(MAIL, QUIET_ADDRESS, "nobody@mailsac.com", "not an address@", OTHER_ADDRESS)
    [quiet] = await until(relay, "refused")
    assert (quiet["kind"], quiet["inbox"], quiet["reason"]) == ("refused", QUIET_ADDRESS, "forwarding off")
    assert quiet["text"] == (
        f"Mail from ann@sender.test for {QUIET_ADDRESS} was refused, because forwarding is off for it:"
        f' switch it on with PUT /api/addresses/{QUIET_ADDRESS} {{"enablews": true}}.'
    )
    seen = await of_all(relay, "refused", "refused", "refused", "unheard")
    assert {(event.get("account", ""), event.get("inbox"), event.get("reason")) for event in seen} == {
        ("", "not an address@", "not an address"),
        ("", "nobody@mailsac.com", "not reserved"),
        ("user1", QUIET_ADDRESS, "forwarding off"),
        ("user2", OTHER_ADDRESS, None),
    }
    assert {event["inbox"] for event in await events(relay, key=OTHER_KEY)} == {OTHER_ADDRESS}


async def test_a_post_again_is_said_to_be_one(relay: Relay) -> None:
    for _ in range(2):
        await relay.post(MAIL, ADDRESS, f"new@{DOMAIN}", headers={"webhook-id": "once"})
    seen = await until(relay, "unheard", "unheard", "received", "received")
    again = [event for event in seen if event.get("duplicate")]
    assert {event["inbox"] for event in again} == {ADDRESS, f"new@{DOMAIN}"}
    assert all("posted again" in event["text"] for event in again)


@pytest.mark.settings(max_message_bytes=2000, improvmx_secret="secret-of-improvmx")
async def test_posts_that_are_refused_whole_are_the_operators(relay: Relay) -> None:
    # 401, the size of the body, what is no mail, and what its provider cannot be told of
    await relay.post(MAIL, ADDRESS, headers={"authorization": "Bearer wrong-secret"})
    await relay.post(b"Subject: x\r\n\r\n" + b"x" * 100_000, ADDRESS)
    await relay.post(b"no mail", ADDRESS)
    parked = await relay.http.post("/inbound/improvmx?token=secret-of-improvmx", content=b"{}")
    assert parked.json()["parked"]
    seen = await of_all(relay, *["refused"] * 4)
    assert [event.get("status") for event in seen] == [401, 413, 400, None]
    assert seen[0]["text"].startswith(
        "A post from 127.0.0.1 to /inbound/raw was answered 401: the provider's secret is wrong"
    )
    assert seen[3]["text"].endswith(f": look at it with relay parked show {parked.json()['parked'][0]['id']}.")
    assert not any("account" in event for event in seen)
    for key in (KEY, OTHER_KEY):
        assert await events(relay, key=key) == []


@pytest.mark.settings(max_message_bytes=2000, mailsac_secret="secret-of-mailsac")
async def test_a_mail_that_is_too_large_is_told_to_its_account(relay: Relay) -> None:
    body = {"inbox": ADDRESS, "raw": "Subject: large\r\n\r\n" + "x" * 2000}
    answer = await relay.http.post("/inbound/mailsac?token=secret-of-mailsac", json=body)
    assert answer.status_code == 413
    [event] = await until(relay, "refused")
    assert (event["inbox"], event["reason"]) == (ADDRESS, "too large")
    assert await events(relay, key=OTHER_KEY) == []


async def test_sockets_that_are_refused(relay: Relay) -> None:
    for key, addresses in ((KEY, OTHER_ADDRESS), ("no-such-key", ADDRESS), (KEY, "nonsense@")):
        async with relay.listen(addresses, key=key) as socket:
            await socket.closed()
    [mine] = await until(relay, "socket-refused")
    assert (mine["code"], mine["client"]) == (4403, "127.0.0.1")
    assert mine["text"] == (
        f"A socket from 127.0.0.1 for {OTHER_ADDRESS} was refused with 4403:"
        f" {OTHER_ADDRESS}: not reserved by this account."
    )
    seen = await of_all(relay, *["socket-refused"] * 3)
    assert [(event["code"], event.get("account")) for event in seen] == [
        (4403, "user1"),
        (4401, None),
        (4400, None),
    ]
    assert await events(relay, key=OTHER_KEY) == []


@pytest.mark.settings(max_sockets_per_account=1)
async def test_too_many_sockets_and_one_whose_right_ends(relay: Relay) -> None:
    async with relay.listen() as socket:
        async with relay.listen(SECOND) as second:
            assert (await second.closed())[0] == 4429
        await relay.rest("PUT", f"/api/addresses/{ADDRESS}", json={"enablews": False})
        assert (await socket.closed())[0] == 4403
    seen = await until(relay, "socket-refused", "socket-closed")
    assert one(seen, "socket-refused")["code"] == 4429
    closed = one(seen, "socket-closed")
    assert closed["code"] == 4403
    assert str(closed["text"]).endswith(": reserve the address, or switch its forwarding on.")


async def test_what_a_proxy_says_of_a_client_is_short_and_printable(relay: Relay) -> None:
    told = {"x-forwarded-for": "\x9b" + "9" * 3000}
    as_bytes = {name.encode(): value.encode() for name, value in told.items()}
    with capture_logs() as logs:
        async with connect(relay.socket_url(key=KEY, addresses=ADDRESS), proxy=None, additional_headers=told):
            [socket] = (await relay.rest("GET", "/api/sockets")).json()
        await refused(relay, "wrong-key", told)
        assert (await relay.http.post("/inbound/raw", headers=as_bytes)).status_code == 401
        seen = await of_all(relay, "socket-opened", "socket-closed", "socket-refused", "refused")
    for client in [
        socket["client"],
        *(event["client"] for event in seen),
        *(line.get("client", "") for line in logs),
    ]:
        assert client.isprintable()
        assert len(client) <= 320
    assert len([line for line in logs if "999" in line.get("client", "")]) == 5


async def refused(relay: Relay, key: str, headers: dict[str, str]) -> None:
    async with connect(
        relay.socket_url(key=key, addresses=ADDRESS), proxy=None, additional_headers=headers
    ) as socket:
        await socket.wait_closed()


@pytest.mark.settings(keep_messages=2)
async def test_a_socket_that_comes_back(relay: Relay) -> None:
    first = await relay.send("0")
    for subject in "123":
        await relay.send(subject)
    async with relay.listen(since=first) as socket:
        assert (await socket.message())["msg"] == "Gap"
        assert [await socket.subject(), await socket.subject()] == ["2", "3"]
    seen = await until(relay, "gap", "replayed")
    assert (one(seen, "gap")["inbox"], one(seen, "gap")["reason"]) == (ADDRESS, "trimmed")
    assert said(one(seen, "replayed")) == {
        "kind": "replayed",
        "text": f"A socket for {ADDRESS} that came back was sent 2 messages that it had missed.",
        "messages": 2,
        "addresses": ADDRESS,
    }


async def test_nothing_secret_and_no_text_of_mail_is_kept(relay: Relay) -> None:
    mail = b"From: Ann <ann@sender.test>\r\nSubject: the-subject\r\n\r\nthe-text\r\n"
    async with relay.listen(since="10m") as socket:
        await relay.post(mail, ADDRESS, QUIET_ADDRESS, "nobody@mailsac.com")
        await socket.message()
    await relay.http.post("/inbound/raw?token=wrong-token", content=mail)
    await relay.http.post(f"/inbound/raw?token={SECRET}&to=%00", content=b"the-text")
    async with relay.listen(key="wrong-key") as socket:
        await socket.closed()
    seen = json.dumps(await of_all(relay, "socket-closed", "socket-refused", *["refused"] * 4))
    for secret in ("the-subject", "the-text", "wrong-token", SECRET, "wrong-key", KEY, "%00", "10m"):
        assert secret not in seen


async def test_strangers_do_not_push_out_what_matters(relay: Relay) -> None:
    await relay.send("mine")
    for _ in range(80):
        await relay.http.post("/inbound/raw", content=MAIL)
    await relay.send("mine too")
    seen = await of_all(relay, *["unheard"] * 2)
    refused = [event for event in seen if event["kind"] == "refused"]
    assert len(refused) == 60
    assert [bool(event.get("cut")) for event in refused] == [False] * 59 + [True]
    assert refused[-1]["text"].endswith(
        "; more of this kind within the minute are not listed, the service's log has them."
    )
