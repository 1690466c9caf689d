"""A bare ``+`` in a query is a blank by the rules of forms, and a plus sign to whoever wrote an address there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from relay.client.listener import listen
from tests import harness
from tests.harness import DOMAIN, KEY, Relay, Socket

pytestmark = pytest.mark.anyio

TAGGED = f"ann+tag+more@{DOMAIN}"
OTHER = f"bob+x@{DOMAIN}"
WRITTEN = [
    TAGGED,
    TAGGED.replace("+", "%2B"),
    TAGGED.replace("+", "%20"),
    TAGGED.replace("+", " ").replace(" ", "+"),
]
LISTS = [f"{TAGGED},{OTHER}", f"{TAGGED},+{OTHER}", f"{TAGGED},%20{OTHER}%20", f"{TAGGED}+,+{OTHER}"]


@pytest.fixture
async def relay(tmp_path: Path, anyio_backend: Any) -> AsyncIterator[Relay]:
    async with harness.relay("memory://", tmp_path) as running:
        for address in (TAGGED, OTHER):
            answer = await running.rest("POST", f"/api/addresses/{address}", json={"enablews": True})
            assert answer.status_code == 200
        yield running


def to(query: str) -> str:
    return f"/inbound/raw?to={query}"


async def post(relay: Relay, query: str, subject: str) -> list[str]:
    headers = {"authorization": f"Bearer {harness.SECRET}", "content-type": "message/rfc822"}
    mail = f"Subject: {subject}\r\n\r\n".encode()
    answer = await relay.http.post(to(query), content=mail, headers=headers)
    return [str(one["inbox"]) for one in answer.json()["accepted"]]


@pytest.mark.parametrize("written", WRITTEN)
async def test_a_recipient(relay: Relay, written: str) -> None:
    assert await post(relay, written, written) == [TAGGED]
    assert await post(relay, f"%3C{written}%3E", f"<{written}>") == [TAGGED]


@pytest.mark.parametrize("written", LISTS)
async def test_lists(relay: Relay, written: str) -> None:
    assert await post(relay, written, written) == [TAGGED, OTHER]
    url = f"ws://127.0.0.1:{relay.port}/incoming-messages?key={KEY}&frames=envelope&addresses={written}"
    async with connect(url, proxy=None) as socket:
        assert (await Socket(socket).message())["addresses"] == [TAGGED, OTHER]


async def test_a_quoted_address_keeps_its_blank(relay: Relay) -> None:
    quoted = f"%22ann+tag%22@{DOMAIN}"
    reserved = await relay.rest("POST", f"/api/addresses/%22ann%20tag%22@{DOMAIN}", json={"enablews": True})
    assert reserved.status_code == 200
    assert await post(relay, quoted, "quoted") == [f'"ann tag"@{DOMAIN}']


async def test_an_inbox_of_activity(relay: Relay) -> None:
    await post(relay, TAGGED, "told of")
    answer = await relay.rest("GET", f"/api/activity?inbox={TAGGED}&wait=10")
    assert answer.status_code == 200
    assert {event["inbox"] for event in answer.json()["events"]} == {TAGGED}


async def test_our_client_given_a_whole_url(relay: Relay) -> None:
    async with listen(f"{relay.url}/incoming-messages?addresses={TAGGED}", key=KEY) as messages:
        await post(relay, TAGGED, "for the client")
        assert (await anext(messages))["subject"] == "for the client"
