"""Waiting for a mail over REST: it is answered when the mail is there, and nothing falls between two requests."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx2
import pytest

from tests.activity.events import until
from tests.harness import ADDRESS, DOMAIN, KEY, MAIL, OTHER_ADDRESS, QUIET_ADDRESS, Relay

pytestmark = pytest.mark.anyio

LONG = "50"  # seconds that no test waits for


async def wait(relay: Relay, *, address: str = ADDRESS, key: str = KEY, **query: str) -> httpx2.Response:
    return await relay.rest("GET", f"/api/addresses/{address}/messages", key=key, params=query)


def subjects(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [entry["subject"] for entry in answer.json()]


def link(answer: httpx2.Response, relation: str) -> str:
    links = re.findall(r'<([^>]*)>; rel="([^"]*)"', answer.headers["link"])
    return str({name: url for url, name in links}[relation])


async def near_misses(relay: Relay, answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 204, answer.text
    told = await relay.rest("GET", link(answer, "near-misses"))
    assert told.status_code == 200, told.text
    misses: list[dict[str, Any]] = told.json()["nearMisses"]
    return misses


async def until_waited_for(relay: Relay, count: int) -> None:
    """Asks again and again: that a request waits is no event for anybody."""
    while len(relay.process.service.node.hub) != count:
        await relay.ready()


async def test_a_mail_that_is_there_is_an_answer_at_once(relay: Relay) -> None:
    await relay.send("one")
    await relay.send("two")
    answer = await wait(relay, wait=LONG)
    assert subjects(answer) == ["one", "two"]
    assert "raw" not in answer.json()[0]


async def test_it_is_answered_when_the_mail_comes(relay: Relay) -> None:
    waiting = asyncio.create_task(wait(relay, wait=LONG, subject="CODE"))
    await until_waited_for(relay, 1)
    await relay.send("something else")
    await relay.send("Your code is here")
    assert subjects(await waiting) == ["Your code is here"]
    await until_waited_for(relay, 0)


async def test_nothing_falls_between_two_requests(relay: Relay) -> None:
    """Each asks for what comes after the last answer, while mail comes all the time."""
    total, since = 60, ""
    got: list[str] = []
    await relay.send("0")

    async def send() -> None:
        for number in range(1, total):
            await relay.send(str(number))

    sending = asyncio.create_task(send())
    while len(got) < total:
        answer = await wait(relay, wait=LONG, limit="7", **({"since": since} if since else {}))
        got += subjects(answer)
        since = answer.headers["relay-cursor"]
    await sending
    assert got == [str(number) for number in range(total)]


async def test_a_mail_that_comes_while_the_request_does_is_not_waited_for_in_vain(relay: Relay) -> None:
    """Both at once, many times, with one mail each: it may come before, between or after all that the request does."""
    since = await relay.send("first")
    for number in range(60):
        waiting = asyncio.create_task(wait(relay, wait=LONG, since=since))
        for _ in range(number % 20):
            await asyncio.sleep(0)
        await relay.send(str(number))
        answer = await waiting
        assert subjects(answer) == [str(number)]
        since = answer.headers["relay-cursor"]


async def test_the_next_page_is_linked(relay: Relay) -> None:
    await relay.send("one")
    await relay.send("two")
    first = await wait(relay, wait="0", limit="1")
    assert subjects(first) == ["one"]
    assert subjects(await relay.rest("GET", link(first, "next"))) == ["two"]


async def test_conditions_must_all_hold(relay: Relay) -> None:
    await relay.post(b"From: Ann <ann@sender.test>\r\nSubject: Welcome to us\r\n\r\ncode: 123456\r\n", ADDRESS)
    await relay.post(b"From: Bob B <b@sender.test>\r\nSubject: Hello again\r\n\r\nno number\r\n", ADDRESS)
    for conditions, found in (
        ({"subject": "WELCOME"}, ["Welcome to us"]),
        ({"from": "bob"}, ["Hello again"]),
        ({"from": "ann@sender"}, ["Welcome to us"]),
        ({"regex": r"code: (\d{6})"}, ["Welcome to us"]),
        ({"regex": "^Hello"}, ["Hello again"]),
        ({"subject": "again", "from": "bob"}, ["Hello again"]),
        ({"subject": ""}, ["Welcome to us", "Hello again"]),
    ):
        assert subjects(await wait(relay, **conditions)) == found


async def test_near_misses_say_what_differs(relay: Relay) -> None:
    first = await relay.send("before")
    await relay.send("Welcome")
    answer = await wait(relay, wait="0", since=first, subject="goodbye", regex="body")
    [miss] = await near_misses(relay, answer)
    assert (miss["subject"], miss["differs"]) == ("Welcome", ["subject"])
    assert miss["text"].startswith("arrived, but: subject differs")
    await relay.send("after the wait")
    assert len(await near_misses(relay, answer)) == 1


async def test_without_any_mail_there_are_no_near_misses(relay: Relay) -> None:
    assert await near_misses(relay, await wait(relay, wait="0", subject="x")) == []


async def test_mail_for_addresses_that_look_like_it_is_told(relay: Relay) -> None:
    first = await relay.send("before")
    await relay.post(MAIL, "us.er1@mailsac.com", "second+x@mailsac.com")
    await relay.post(MAIL, "user1+shop@mailsac.com")
    await until(relay, *["near-miss"] * 3)
    told = await relay.rest("GET", f"/api/addresses/{ADDRESS}/near-misses", params={"since": first})
    others = told.json()["otherAddresses"]
    assert [(one["inbox"], one["from"]) for one in others] == [
        ("us.er1@mailsac.com", "ann@sender.test"),
        ("user1+shop@mailsac.com", "ann@sender.test"),
    ]
    assert others[1]["text"].endswith(f"or have mail sent to {ADDRESS}.")
    later = await relay.send("after")
    told = await relay.rest("GET", f"/api/addresses/{ADDRESS}/near-misses", params={"since": later})
    assert told.json()["otherAddresses"] == []


async def test_mail_of_an_own_domain_can_be_waited_for(relay: Relay) -> None:
    address = f"anybody@{DOMAIN}"
    waiting = asyncio.create_task(wait(relay, address=address, wait=LONG))
    await until_waited_for(relay, 1)
    await relay.send("to somebody else", f"other@{DOMAIN}")
    await relay.send("to anybody", address)
    assert subjects(await waiting) == ["to anybody"]


async def test_a_large_mail_is_found_too(relay: Relay) -> None:
    waiting = asyncio.create_task(wait(relay, wait=LONG, regex="needle"))
    await until_waited_for(relay, 1)
    await relay.post(b"Subject: large\r\n\r\nneedle\r\n" + b"hay\r\n" * 60_000, ADDRESS)
    assert subjects(await waiting) == ["large"]


async def test_a_right_that_ends_ends_the_wait(relay: Relay) -> None:
    waiting = asyncio.create_task(wait(relay, wait=LONG))
    await until_waited_for(relay, 1)
    assert (await relay.rest("DELETE", f"/api/addresses/{ADDRESS}")).status_code == 200
    assert (await waiting).status_code == 401


async def test_who_comes_while_the_process_leaves_is_told_to_come_again(relay: Relay) -> None:
    waiting = asyncio.create_task(wait(relay, wait=LONG))
    await until_waited_for(relay, 1)
    await relay.process.service.leave()
    for answer in (await waiting, await wait(relay, wait=LONG)):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_who_hangs_up_is_not_waited_for(relay: Relay) -> None:
    async with httpx2.AsyncClient(base_url=relay.url, verify=False) as http:
        asking = asyncio.create_task(
            http.get(f"/api/addresses/{ADDRESS}/messages?wait={LONG}", headers={"mailsac-key": KEY})
        )
        await until_waited_for(relay, 1)
        asking.cancel()
        await asyncio.wait([asking])
    await until_waited_for(relay, 0)


BAD = [
    ({"wait": "61"}, "wait"),
    ({"wait": "-1"}, "wait"),
    ({"wait": "soon"}, "wait"),
    ({"wait": "1e1"}, "wait"),
    ({"regex": "(unclosed"}, "regex"),
    ({"regex": "(?=look)ahead"}, "regex"),
    ({"regex": "(((a{100}){100}){100})"}, "regex"),
    ({"regex": "a" * 1001}, "regex"),
    ({"subject": "a" * 1001}, "subject"),
    ({"since": "yesterday"}, "since"),
    ({"since": "0123456789abcdef-1-1"}, "since"),
    ({"wait": "1", "limit": "some"}, "limit"),
    ({"wait": "1", "limit": "1001"}, "limit"),
]


async def test_a_bad_value_is_named(relay: Relay) -> None:
    for query, member in BAD:
        answer = await wait(relay, **query)
        assert answer.status_code == 400
        assert answer.json()["validationErrors"][0].startswith(f"{member}: ")


async def test_a_regex_that_blows_up_elsewhere_takes_no_time(relay: Relay) -> None:
    await relay.post(b"Subject: as\r\n\r\n" + b"a" * 900 + b"\r\n", ADDRESS)
    assert (await wait(relay, regex="(a+)+$b")).status_code == 204


async def test_forwarding_that_is_off_is_said(relay: Relay) -> None:
    answer = await wait(relay, address=QUIET_ADDRESS, wait=LONG)
    assert answer.status_code == 400
    assert "forwarding is off" in answer.json()["error"]


async def test_what_is_anothers_or_nobodys_cannot_be_told_apart(relay: Relay) -> None:
    for path in ("messages?wait=0", "messages?wait=30", "near-misses"):
        said = set()
        for address in (OTHER_ADDRESS, "nobody@mailsac.com", "nobody@elsewhere.test"):
            answer = await relay.rest("GET", f"/api/addresses/{address}/{path}")
            assert answer.status_code == 401
            said.add(answer.text.replace(address, "it"))
        assert len(said) == 1


@pytest.mark.settings(max_sockets_per_account=1)
async def test_who_may_not_listen_because_of_requests_that_wait_is_told_of_them(relay: Relay) -> None:
    waiting = asyncio.create_task(wait(relay, wait=LONG))
    await until_waited_for(relay, 1)
    async with relay.listen() as socket:
        told = await socket.message()
        assert (told["status"], "sockets, and requests that wait" in told["error"]) == (429, True)
    refused = await wait(relay, wait=LONG)
    assert (refused.status_code, refused.json()["error"]) == (429, told["error"])
    await relay.send("the end of it")
    assert (await waiting).status_code == 200


async def test_a_request_that_waits_is_no_socket(relay: Relay) -> None:
    waiting = asyncio.create_task(wait(relay, wait=LONG))
    await until_waited_for(relay, 1)
    shown = await relay.rest("GET", "/api/sockets")
    assert (shown.json(), shown.headers["x-total-count"]) == ([], "0")
    await relay.send("the end of it")
    assert (await waiting).status_code == 200
