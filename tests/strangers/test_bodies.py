"""Bodies of which nobody knows who sent them: what they may hold, and that mail gets past them."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import httpx2
import pytest

from relay import builders
from relay.work_bytes import WORK_FACTOR
from tests.harness import ADDRESS, SECRET, Relay
from tests.inbound.wire import Answer, Wire, wire

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("redis_url", ["memory"], indirect=True)]

LARGE = 256 * 1024  # the largest mail here; all bodies may hold sixteen of it, and those not proven eight
settings = pytest.mark.settings(
    max_message_bytes=LARGE, work_bytes=(16 + WORK_FACTOR) * LARGE, mailersend_secret=SECRET
)
JUNK = (
    "Webhook-Id: 1",
    "Webhook-Timestamp: {now}",
    f"Webhook-Signature: v1,{base64.b64encode(b'x' * 32).decode()}",
)


def mail(size: int) -> bytes:
    return b"Subject: large\r\n\r\n".ljust(size, b"y")


@asynccontextmanager
async def endless(
    relay: Relay, count: int, *, clients: int = 1, size: int = LARGE - 4
) -> AsyncIterator[list[Wire]]:
    """Bodies with a signature that nobody made, which stop before their end; each has come as far as it will."""
    headers = [line.format(now=int(datetime.now(UTC).timestamp())) for line in JUNK]
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(wire(relay)) for _ in range(count)]
        for number, one in enumerate(wires):
            one.begin(
                f"Content-Length: {LARGE}", f"X-Forwarded-For: 203.0.113.{number % clients}", *headers, secret=""
            )
            one.writer.write(mail(size))
            await one.writer.drain()
        while await held(relay, "unproven") < min(count * size, 8 * LARGE - size):
            pass
        yield wires


async def held(relay: Relay, of: str) -> int:
    """Bytes of bodies at the door, by the operator's metrics."""
    metrics = (await relay.internal.get("/metrics")).text
    found = re.search(rf'^relay_inbound_bytes\{{of="{of}"\}} (.+)$', metrics, re.MULTILINE)
    assert found
    return int(float(found[1]))


async def signed(relay: Relay, size: int, client: str = "198.51.100.1") -> httpx2.Response:
    """A mail whose proof is in its body's signature: it is not proven before it is whole."""
    target, headers, body = builders.build("mailersend", mail(size), [ADDRESS], SECRET, datetime.now(UTC))
    return await relay.http.post(target, content=body, headers=[*headers, ("x-forwarded-for", client)])


@settings
async def test_bodies_that_never_end_stand_in_nobodys_way(relay: Relay) -> None:
    """17 of them turned all mail into 503 for 59 s of 60."""
    async with endless(relay, 40):
        for size in (1000, LARGE - 1000):
            assert (await relay.post(mail(size), ADDRESS)).status_code == 200
            assert (await signed(relay, size)).status_code == 200


@settings
async def test_many_clients_that_hold_much_make_room_for_one_that_holds_little(relay: Relay) -> None:
    async with endless(relay, 40, clients=40):
        assert (await signed(relay, 50_000)).status_code == 200


@settings
async def test_who_makes_room_is_told_to_come_again(relay: Relay) -> None:
    async with endless(relay, 8) as wires:
        answers = [asyncio.create_task(one.answer()) for one in wires]
        statuses = [(await signed(relay, LARGE - 1000)).status_code for _ in range(3)]
        assert statuses == [200] * 3
        done, waiting = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        told = [task.result() for task in done]
        assert {(one.status, one.headers["retry-after"]) for one in told} == {(503, "5")}
        assert {json.loads(one.body)["error"] for one in told} == {"too much mail is coming in at once; try again"}
        for task in waiting:
            task.cancel()


@settings
async def test_unproven_bodies_have_half_and_give_it_back(relay: Relay) -> None:
    """Twice, so that what was not given back would be missing."""
    for _ in range(2):
        async with endless(relay, 12) as wires:
            refused = [asyncio.create_task(one.answer()) for one in wires]
            given: list[Answer] = []
            for answer in asyncio.as_completed(refused):
                given.append(await answer)
                if len(given) == 4:
                    break
            assert {json.loads(one.body)["error"] for one in given} == {
                "too much mail is coming in at once; try again"
            }
            for task in refused:
                task.cancel()
        while await held(relay, "all"):
            pass


@settings
async def test_a_small_mail_with_its_proof_passes_when_all_is_spent(relay: Relay) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(20):
            provider = await stack.enter_async_context(wire(relay))
            provider.begin(f"Content-Length: {LARGE}")
            provider.writer.write(mail(LARGE - 4))
            await provider.writer.drain()
        assert (await signed(relay, 200_000)).status_code == 503
        assert (await relay.post(mail(200_000), ADDRESS)).status_code == 503
        assert (await relay.post(mail(100_000), ADDRESS)).status_code == 200
