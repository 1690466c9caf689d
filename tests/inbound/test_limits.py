"""How much a provider may post, what it is told beyond that, and that nothing it does harms the others."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack

import httpx2
import pytest

from relay.inbound.reading import MAX_RECIPIENTS
from relay.work_bytes import WORK_FACTOR
from tests.harness import ADDRESS, DOMAIN, MAIL, MAILSAC_SECRET, Relay
from tests.inbound.wire import Answer, Wire, wire

pytestmark = pytest.mark.anyio

LIMIT = 1024  # the least that may be set
# What all may hold: sixteen of the largest mail, and what one of them takes in work.
small = pytest.mark.settings(max_message_bytes=LIMIT, work_bytes=(16 + WORK_FACTOR) * LIMIT)
# Where the body is refused, given up or put off, the store has no part; one is enough.
one_store = pytest.mark.parametrize("redis_url", ["memory"], indirect=True)
LARGE = 256 * 1024  # a small mail that is proven passes always: these are not small
large = pytest.mark.settings(max_message_bytes=LARGE, work_bytes=(16 + WORK_FACTOR) * LARGE)
FITTING = 16  # of the largest mail at once


def mail(size: int, subject: str = "x") -> bytes:
    head = f"Subject: {subject}\r\n\r\n".encode()
    return head + b"y" * (size - len(head))


def told_too_large(answer: Answer | httpx2.Response, limit: int = LIMIT) -> bool:
    body = answer.body if isinstance(answer, Answer) else answer.content
    error = f"the mail is larger than {limit} bytes, the limit here (RELAY_MAX_MESSAGE_BYTES)"
    status = answer.status if isinstance(answer, Answer) else answer.status_code
    return (status, json.loads(body)["error"], answer.headers["connection"]) == (413, error, "close")


async def refusals(relay: Relay, status: int) -> int:
    """How many posts to raw were answered so, from the operator's counters."""
    metrics = (await relay.internal.get("/metrics")).text
    found = re.search(
        rf'^relay_inbound_total\{{provider="raw",status="{status}"\}} ([0-9.]+)$', metrics, re.MULTILINE
    )
    return int(float(found[1])) if found else 0


@small
async def test_a_mail_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(relay: Relay) -> None:
    async with relay.listen() as socket:
        assert told_too_large(await relay.post(mail(LIMIT + 1), ADDRESS))
        assert (await relay.post(mail(LIMIT, "fits"), ADDRESS)).status_code == 200
        message = await socket.message()
        assert (message["subject"], message["size"]) == ("fits", LIMIT)


@one_store
@small
async def test_a_declared_size_over_the_limit_is_refused_before_the_body_comes(relay: Relay) -> None:
    for declared in (str(LIMIT + 1), "1000000000000", "9" * 18, "9" * 19):
        async with wire(relay) as provider:
            provider.begin(f"Content-Length: {declared}")
            provider.writer.write(b"Subject: the rest never comes")
            assert told_too_large(await provider.answer())
            assert await provider.reader.read() == b""  # and the connection is closed: nothing more is read


@one_store
@small
async def test_a_provider_that_asks_first_is_not_told_to_go_on(relay: Relay) -> None:
    async with wire(relay) as provider:
        provider.begin(f"Content-Length: {LIMIT + 1}", "Expect: 100-continue")
        assert told_too_large(await provider.answer())
    async with wire(relay) as provider:
        provider.begin(f"Content-Length: {LIMIT}", "Expect: 100-continue")
        assert (await provider.answer()).status == 100
        provider.writer.write(mail(LIMIT))
        assert (await provider.answer()).status == 200


@one_store
@small
async def test_an_undeclared_size_is_refused_as_soon_as_it_is_over_the_limit(relay: Relay) -> None:
    async with wire(relay) as provider:
        provider.begin("Transfer-Encoding: chunked")
        provider.chunk(mail(LIMIT))
        provider.chunk(b"z")
        assert told_too_large(await provider.answer())  # although no last chunk came
        assert await provider.reader.read() == b""


@small
async def test_an_undeclared_size_within_the_limit_is_taken(relay: Relay) -> None:
    async with relay.listen() as socket, wire(relay) as provider:
        provider.begin("Transfer-Encoding: chunked")
        for byte in mail(LIMIT, "in chunks"):
            provider.chunk(bytes([byte]))
        provider.chunk(b"")
        assert (await provider.answer()).status == 200
        assert (await socket.message())["raw"].encode() == mail(LIMIT, "in chunks")


@one_store
@small
async def test_a_provider_that_never_stops_harms_nobody(relay: Relay) -> None:
    async def endless(provider: Wire) -> None:
        provider.begin("Transfer-Encoding: chunked")
        while True:
            provider.chunk(b"z" * 60_000)
            await provider.writer.drain()

    for _ in range(5):
        async with wire(relay) as provider:
            with pytest.raises(ConnectionError):
                await endless(provider)
    async with relay.listen() as socket:
        await relay.send("unharmed")
        assert await socket.subject() == "unharmed"


@small
async def test_the_mail_inside_json_is_held_to_the_same_limit(relay: Relay) -> None:
    for size, status in ((LIMIT, 200), (LIMIT + 1, 413)):
        event = {"inbox": ADDRESS, "raw": mail(size).decode(), "text": "z" * LIMIT}
        answer = await relay.http.post(f"/inbound/mailsac?token={MAILSAC_SECRET}", json=event)
        assert answer.status_code == status
    assert told_too_large(answer)
    event = {"inbox": ADDRESS, "text": "z" * 2 * LIMIT}  # rebuilt, it is larger than a mail may be
    assert told_too_large(await relay.http.post(f"/inbound/mailsac?token={MAILSAC_SECRET}", json=event))
    event = {"inbox": ADDRESS, "raw": mail(LIMIT).decode(), "text": "z" * 4 * LIMIT}
    assert told_too_large(await relay.http.post(f"/inbound/mailsac?token={MAILSAC_SECRET}", json=event), 4 * LIMIT)


async def test_a_body_larger_than_one_segment_arrives_whole(relay: Relay) -> None:
    """Worked on in a thread, which must not lose the refusal of what is wrong either."""
    async with relay.listen() as socket:
        socket.connection.protocol.max_message_size = None
        assert (await relay.post(b"no mail at all" * 100_000, ADDRESS)).status_code == 400
        wrong = {"authorization": "Bearer wrong"}
        assert (await relay.post(mail(500_000), ADDRESS, headers=wrong)).status_code == 401
        answer = await relay.post(mail(500_000), ADDRESS, "nonsense")
        assert answer.json()["rejected"] == [{"inbox": "nonsense", "reason": "not an address"}]
        assert (await socket.message())["size"] == 500_000


@one_store
@large
async def test_providers_that_hang_up_leave_no_bytes_behind(relay: Relay) -> None:
    """Together they begin more than may be held at once."""
    count = FITTING * 3
    for _ in range(count):
        async with wire(relay) as provider:
            provider.begin(f"Content-Length: {LARGE}", "Expect: 100-continue")
            assert (await provider.answer()).status == 100  # the body is being waited for
            provider.writer.write(mail(LARGE - 1))
            provider.writer.close()
            await provider.writer.wait_closed()
    while await refusals(relay, 400) < count:
        pass
    async with relay.listen() as socket:
        await relay.send("after them")
        assert await socket.subject() == "after them"
    assert await refusals(relay, 503) == 0


@one_store
@large
async def test_refused_bodies_leave_no_bytes_behind(relay: Relay) -> None:
    for _ in range(FITTING * 2):
        assert (await relay.post(b"no mail" * 20_000, ADDRESS)).status_code == 400
        assert (await relay.post(MAIL, ADDRESS, headers={"authorization": "Bearer x"})).status_code == 401
        async with wire(relay) as provider:
            provider.begin("Transfer-Encoding: chunked")
            provider.chunk(mail(LARGE + 1))
            assert told_too_large(await provider.answer(), LARGE)
    assert (await relay.post(mail(LARGE), ADDRESS)).status_code == 200


@one_store
@large
async def test_more_bodies_at_once_than_memory_may_hold_are_put_off(relay: Relay) -> None:
    """Each holds nearly a whole mail, so sixteen fit, whichever they are; the others are asked to come again."""
    fitting, too_many = FITTING, 4
    async with AsyncExitStack() as stack:
        providers = [await stack.enter_async_context(wire(relay)) for _ in range(fitting + too_many)]
        for provider in providers:
            provider.begin(f"Content-Length: {LARGE}")
            provider.writer.write(mail(LARGE)[:-4])
        answers = {asyncio.create_task(provider.answer()): provider for provider in providers}
        waiting = set(answers)
        put_off: set[asyncio.Task[Answer]] = set()
        while len(put_off) < too_many:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            put_off |= done
        for answer in (task.result() for task in put_off):
            assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (
                503,
                "5",
                "close",
            )
            assert json.loads(answer.body)["error"] == "too much mail is coming in at once; try again"
        for task in put_off:
            assert await answers[task].reader.read() == b""
        for task in waiting:
            answers[task].writer.write(mail(LARGE)[-4:])
        assert [(await task).status for task in waiting] == [200] * fitting
    assert (await relay.post(mail(LARGE), ADDRESS)).status_code == 200


async def test_a_thousand_recipients_are_served_and_one_more_is_too_many(relay: Relay) -> None:
    recipients = [f"r{number}@{DOMAIN}" for number in range(MAX_RECIPIENTS + 1)]
    assert MAX_RECIPIENTS == 1000
    async with relay.listen(DOMAIN) as socket:
        answer = await relay.post(MAIL, *recipients)
        assert answer.status_code == 400
        assert "more than 1000 recipients" in answer.json()["error"]
        answer = await relay.post(MAIL, *recipients[:-1])
        assert answer.status_code == 200
        messages = [await socket.message() for _ in range(MAX_RECIPIENTS)]
    accepted = {one["inbox"]: one["_id"] for one in answer.json()["accepted"]}
    assert list(accepted) == recipients[:-1]
    assert accepted == {message["inbox"]: message["_id"] for message in messages}


async def test_a_large_mail_for_many_reaches_each(relay: Relay) -> None:
    """More than is published at once."""
    recipients = [f"r{number}@{DOMAIN}" for number in range(12)]
    async with relay.listen(DOMAIN) as socket:
        socket.connection.protocol.max_message_size = None
        assert len((await relay.post(mail(600_000), *recipients)).json()["accepted"]) == len(recipients)
        assert {(await socket.message())["inbox"] for _ in recipients} == set(recipients)


@one_store
async def test_a_length_that_is_no_number_is_the_servers_to_refuse(relay: Relay) -> None:
    for length in ("-1", "x", "1, 2"):
        async with wire(relay) as provider:
            provider.begin(f"Content-Length: {length}")
            assert (await provider.answer()).status == 400
