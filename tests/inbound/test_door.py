"""What the door makes of a provider's wishes: its statuses, batches with a bad event, and proofs that need no body.

The provider is one of the tests' own, because no real one wishes all of this at once.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import AsyncIterator, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest
import redis
import structlog.testing

from relay import mime
from relay.errors import BadRequest
from relay.inbound.proof.signature import verify_shared_secret
from relay.inbound.providers import PROVIDERS
from relay.inbound.reading import MAX_RECIPIENTS
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    Post,
    Unreadable,
)
from tests import harness
from tests.harness import ADDRESS, MAILSAC_SECRET, Relay
from tests.inbound.wire import Wire, wire
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

LIMIT = 2048
small = pytest.mark.settings(max_message_bytes=LIMIT)
one_store = pytest.mark.parametrize("redis_url", ["memory"], indirect=True)
Log = list[MutableMapping[str, Any]]


@dataclass(frozen=True)
class Batches:
    """Posts JSON lists of ``{"to": […], "raw": …}``; anything else in such a list is an event that cannot be read."""

    secrets: tuple[str, ...] = field(repr=False)
    name: str = "mailsac"
    answers: ClassVar[Answers] = Answers(not_proven=403, unreadable=200, too_large=406, unavailable=408)

    def body_limit(self, max_message_bytes: int) -> int:
        return max_message_bytes * 2

    def verify(self, post: Post) -> None:
        verify_shared_secret(post, self.secrets)

    def parse(self, post: Post) -> Sequence[Delivery | Unreadable]:
        try:
            events = json.loads(post.body)
        except ValueError as error:
            raise BadRequest("the body is not JSON") from error
        return [self._event(event, post) for event in events]

    def _event(self, event: dict[str, Any], post: Post) -> Delivery | Unreadable:
        if "raw" not in event:
            return Unreadable("the event has no raw", json.dumps([event]).encode())
        raw = event["raw"].encode()
        return Delivery(
            tuple(event["to"]), raw, mime.parse(raw), post.received, event=event["raw"][:40], retry_seconds=60
        )


class Bouncing(Batches):
    """Wants 422 for what cannot be read."""

    answers: ClassVar[Answers] = Answers(unreadable=422)


@pytest.fixture
def as_provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Mailsac's place, whose path and secret exist."""
    monkeypatch.setitem(PROVIDERS, "mailsac", getattr(request, "param", Batches))


@pytest.fixture
async def door(as_provider: None, relay: Relay) -> Relay:
    return relay


@pytest.fixture
def log() -> Iterator[Log]:
    with structlog.testing.capture_logs() as lines:
        yield lines


async def post(relay: Relay, body: object, token: str = MAILSAC_SECRET, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": "application/x-hook", "authorization": f"Bearer {token}", **headers}
    return await relay.http.post(f"/inbound/mailsac?token={token}", content=content, headers=named)


def good(subject: str, *to: str) -> dict[str, Any]:
    return {"to": to or [ADDRESS], "raw": f"Subject: {subject}\r\n\r\n"}


async def metric(relay: Relay, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} ([0-9.]+)$", (await relay.internal.get("/metrics")).text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_what_cannot_be_read_is_parked_and_answered_200(log: Log, door: Relay) -> None:
    answer = await post(door, b"not JSON, but private")
    assert answer.status_code == 200
    [parked] = answer.json()["parked"]
    assert answer.json() == {"accepted": [], "rejected": [], "parked": [parked]}
    assert parked["reason"] == "the body is not JSON"
    assert (await post(door, b"not JSON, but private")).json()["parked"] == [parked]  # once
    assert (await post(door, b"something else")).json()["parked"][0]["id"] != parked["id"]
    lines = [line for line in log if line["event"] == "inbound.parked"]
    assert [line["id"] for line in lines[:2]] == [parked["id"]] * 2
    assert (lines[0]["provider"], lines[0]["size_bytes"], lines[0]["displaced"]) == ("mailsac", 21, 0)
    assert not [line for line in log if line["event"] == "inbound.taken"]
    assert "private" not in str(log) + answer.text
    assert await metric(door, 'relay_parked_total{provider="mailsac"}') == 3
    assert await metric(door, 'relay_inbound_total{provider="mailsac",status="200"}') == 3


async def test_a_bad_event_of_a_batch_takes_nothing_good_with_it(door: Relay) -> None:
    async with door.listen() as socket:
        answer = (await post(door, [good("one"), {"x": 1}, good("two"), {"x": 2}])).json()
        assert [one["inbox"] for one in answer["accepted"]] == [ADDRESS] * 2
        assert [one["reason"] for one in answer["parked"]] == ["the event has no raw"] * 2
        assert [await socket.subject() for _ in range(2)] == ["one", "two"]


async def test_what_is_too_much_in_a_batch_is_rejected_alone(door: Relay) -> None:
    crowd = [f"r{number}@x.test" for number in range(MAX_RECIPIENTS + 1)]
    answer = (await post(door, [good("one"), good("crowd", *crowd)])).json()
    assert [one["inbox"] for one in answer["accepted"]] == [ADDRESS]
    assert answer["rejected"] == [{"inbox": "r0@x.test", "reason": "too many recipients"}]
    alone = await post(door, [good("crowd", *crowd)])
    assert "more than 1000 recipients" in alone.json()["parked"][0]["reason"]


@small
async def test_what_is_too_large_has_the_providers_status(door: Relay) -> None:
    large = good("x" * LIMIT)
    assert (await post(door, [large])).status_code == 406
    assert (await post(door, b"x" * (LIMIT * 2 + 1))).status_code == 406
    answer = await post(door, [good("fits"), large])
    assert answer.status_code == 200
    assert [one["inbox"] for one in answer.json()["accepted"]] == [ADDRESS]
    assert answer.json()["rejected"] == [{"inbox": ADDRESS, "reason": "too large"}]


@one_store
async def test_who_proves_nothing_has_the_providers_status_and_is_not_parked(log: Log, door: Relay) -> None:
    answer = await post(door, b"not JSON", token="wrong")
    assert answer.status_code == 403
    assert "parked" not in answer.text
    assert await metric(door, 'relay_inbound_total{provider="mailsac",status="403"}') == 1
    assert await metric(door, 'relay_parked_total{provider="mailsac"}') == 0
    [line] = [line for line in log if line["event"] == "inbound.refused"]
    assert (line["status"], line["client"]) == (403, "127.0.0.1")


@one_store
@pytest.mark.parametrize("as_provider", [Bouncing], indirect=True)
async def test_who_wants_a_bounce_gets_its_status_and_nothing_is_parked(door: Relay) -> None:
    answer = await post(door, b"not JSON")
    assert (answer.status_code, answer.json()["error"]) == (422, "the body is not JSON")
    assert (await post(door, b"not JSON", token="wrong")).status_code == 401
    assert await metric(door, 'relay_parked_total{provider="mailsac"}') == 0


async def test_nothing_that_proved_the_post_is_kept(
    as_provider: None, empty_redis_url: str, tmp_path: Path
) -> None:
    async with harness.relay(empty_redis_url, tmp_path) as door:
        secrets = {
            "x-signature": "s3cret",
            "cookie": "s3cret",
            "x-my-token": "s3cret",
            "x-envelope-to": "a@x.test",
        }
        assert (await post(door, b"not JSON", **secrets)).json()["parked"]
    with redis.Redis.from_url(empty_redis_url) as client:
        [(_, fields)] = client.xrange("relay:{parked}")
        everything = str(fields) + str([client.get(key) for key in client.scan_iter("relay:{parked}:*")])
    assert json.loads(fields[b"headers"]) == [
        ["content-type", "application/x-hook"],
        ["x-envelope-to", "a@x.test"],
    ]
    assert "s3cret" not in everything
    assert MAILSAC_SECRET not in everything


@pytest.fixture
async def with_server(as_provider: None, tmp_path: Path) -> AsyncIterator[tuple[Relay, RedisServer]]:
    with RedisServer(persistent=True) as server:
        async with harness.relay(server.url, tmp_path, redis_timeout_seconds=1.0) as running:
            yield running, server


async def test_when_it_cannot_be_parked_the_provider_comes_again(with_server: tuple[Relay, RedisServer]) -> None:
    door, server = with_server
    with redis.Redis.from_url(server.url) as client:
        client.set("relay:{parked}", "no stream")  # so that parking fails, and nothing else
        batch = [good("one"), {"x": 1}]
        assert (await post(door, batch)).status_code == 408
        client.delete("relay:{parked}")
        for key in client.scan_iter("relay:{parked}:*"):
            client.delete(key)
    again = (await post(door, batch)).json()
    assert again["accepted"][0]["duplicate"] is True
    assert len(again["parked"]) == 1
    server.kill()
    assert (await post(door, b"not JSON")).status_code == 408
    assert (await post(door, b"not JSON", token="wrong")).status_code == 403


@dataclass(frozen=True)
class SaysItsUrl(Batches):
    """Has the URL of the post as the reason why it cannot be read."""

    def parse(self, post: Post) -> Sequence[Delivery | Unreadable]:
        return [Unreadable(post.url, post.body)]


async def url_seen(relay: Relay, **headers: str) -> str:
    answer = await relay.http.post(f"/inbound/mailsac?token={MAILSAC_SECRET}&a=%2F%20b", headers=headers)
    return str(answer.json()["parked"][0]["reason"])


AS_SENT = f"/inbound/mailsac?token={MAILSAC_SECRET}&a=%2F%20b"


@one_store
@pytest.mark.parametrize("as_provider", [SaysItsUrl], indirect=True)
@pytest.mark.settings(public_url="https://relay.example.com/mail/")
async def test_a_provider_that_signs_its_url_sees_the_public_one(door: Relay) -> None:
    assert await url_seen(door, host="other.test") == f"https://relay.example.com/mail{AS_SENT}"


@one_store
@pytest.mark.parametrize("as_provider", [SaysItsUrl], indirect=True)
async def test_without_a_public_url_it_is_the_one_that_was_called(door: Relay) -> None:
    assert await url_seen(door, host="relay.test:99") == f"http://relay.test:99{AS_SENT}"
    secured = await url_seen(door, host="relay.test", **{"x-forwarded-proto": "https"})
    assert secured == f"https://relay.test{AS_SENT}"


# Proofs in the head of a request


@one_store
@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
async def test_a_stranger_is_not_told_to_go_on(relay: Relay, framing: str) -> None:
    async with wire(relay) as stranger:
        stranger.begin(framing, "Expect: 100-continue", secret="wrong")
        answer = await stranger.answer()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert await stranger.reader.read() == b""


@one_store
async def test_a_stranger_reads_why_and_may_try_again_on_the_same_connection(relay: Relay) -> None:
    async with wire(relay) as stranger:
        for secret, status in (("wrong", 401), (harness.SECRET, 200)):
            stranger.begin("Content-Length: 300000", secret=secret)
            stranger.writer.write(b"Subject: x\r\n\r\n" + b"y" * (300_000 - 14))
            answer = await stranger.answer()
            assert (answer.status, answer.headers.get("connection")) == (status, None)


@one_store
@small
async def test_a_stranger_that_never_ends_is_cut_off(relay: Relay) -> None:
    async def endless(stranger: Wire) -> None:
        stranger.begin("Transfer-Encoding: chunked", secret="wrong")
        while True:
            stranger.chunk(b"z" * 60_000)
            await stranger.writer.drain()

    async with wire(relay) as stranger:
        with pytest.raises(ConnectionError):
            await endless(stranger)
    assert (await relay.post()).status_code == 200


@one_store
async def test_a_signature_is_over_the_body_and_waits_for_it(relay: Relay) -> None:
    async with wire(relay) as stranger:
        stranger.begin(
            "Content-Length: 5",
            f"Webhook-Signature: v1,{base64.b64encode(b'x' * 32).decode()}",  # well formed: else the head refuses it
            "Webhook-Id: 1",
            f"Webhook-Timestamp: {int(time.time())}",
            "Expect: 100-continue",
            secret="wrong",
        )
        assert (await stranger.answer()).status == 100
        stranger.writer.write(b"a: b\n")
        assert (await stranger.answer()).status == 401


@one_store
async def test_the_log_tells_whose_socket_it_was(log: Log, relay: Relay) -> None:
    async with relay.listen():
        pass
    while await metric(relay, "relay_sockets"):
        pass
    lines = [line for line in log if line["event"] in ("socket.open", "socket.left")]
    assert [line["client"] for line in lines] == ["127.0.0.1"] * 2
