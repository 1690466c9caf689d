"""An event that a provider posts again is delivered once, and answered with the first one's ``_id``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest

from tests import harness
from tests.harness import ADDRESS, MAIL, MAILSAC_SECRET, SECRET, Relay

pytestmark = pytest.mark.anyio

SECOND = "second@mailsac.com"


async def post(relay: Relay, mail: bytes, *to: str, **headers: str) -> httpx2.Response:
    fixed = {"authorization": f"Bearer {SECRET}", "x-envelope-to": ",".join(to)}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await relay.http.post("/inbound/raw", content=mail, headers={**fixed, **named})


async def test_the_same_name_is_the_same_event(relay: Relay) -> None:
    async with relay.listen() as socket:
        first = (await post(relay, MAIL, ADDRESS, webhook_id="1")).json()
        again = (await post(relay, b"Subject: other bytes\r\n\r\n", ADDRESS, webhook_id="1")).json()
        assert again == {"accepted": [first["accepted"][0] | {"duplicate": True}], "rejected": []}
        other = (await post(relay, MAIL, ADDRESS, webhook_id="2")).json()
        assert "duplicate" not in other["accepted"][0]
        assert [(await socket.message())["_id"] for _ in range(2)] == [
            first["accepted"][0]["_id"],
            other["accepted"][0]["_id"],
        ]


async def test_without_a_name_the_same_bytes_are(relay: Relay) -> None:
    first = (await post(relay, MAIL, ADDRESS)).json()["accepted"]
    assert (await post(relay, MAIL, ADDRESS)).json()["accepted"] == [first[0] | {"duplicate": True}]
    assert "duplicate" not in (await post(relay, MAIL + b"x", ADDRESS)).json()["accepted"][0]


async def test_a_recipient_that_is_new_gets_its_message(relay: Relay) -> None:
    first = (await post(relay, MAIL, ADDRESS, webhook_id="1")).json()["accepted"]
    both = (await post(relay, MAIL, ADDRESS, SECOND, webhook_id="1")).json()["accepted"]
    assert both[0] == first[0] | {"duplicate": True}
    assert both[1]["inbox"] == SECOND
    assert "duplicate" not in both[1]


async def test_the_names_of_providers_are_their_own(relay: Relay) -> None:
    await post(relay, MAIL, ADDRESS, webhook_id="1")
    answer = await relay.http.post(
        "/inbound/mailsac",
        params={"token": MAILSAC_SECRET},
        json={"_id": "1", "inbox": ADDRESS, "raw": MAIL.decode()},
    )
    assert "duplicate" not in answer.json()["accepted"][0]
    again = await relay.http.post(
        "/inbound/mailsac",
        params={"token": MAILSAC_SECRET},
        json={"_id": "1", "inbox": ADDRESS, "raw": "Subject: x"},
    )
    assert again.json()["accepted"][0]["duplicate"]


async def test_three_at_once_at_two_processes_are_one(empty_redis_url: str, tmp_path: Path) -> None:
    async with (
        harness.relay(empty_redis_url, tmp_path) as one,
        harness.relay(empty_redis_url, tmp_path) as two,
        one.listen() as socket,
    ):
        for number in range(20):
            answers = await asyncio.gather(
                *(post(relay, MAIL, ADDRESS, webhook_id=str(number)) for relay in (one, two, one))
            )
            assert len({answer.json()["accepted"][0]["_id"] for answer in answers}) == 1
        ids = [(await socket.message())["_id"].split("-")[2] for _ in range(20)]
        assert ids == [str(number) for number in range(1, 21)]
