"""Mails that a post only announces: fetched from the API of their provider, from the real door to a socket."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from relay import settings
from relay.errors import ConfigError
from relay.inbound.fetching import request, worker
from relay.inbound.providers import resend as resend_provider
from relay.inbound.webhook.fetch_codec import encode
from relay.inbound.webhook.provider import Fetch
from relay.queues import fetches
from relay.queues.fetches import Fetches
from relay.queues.parked import Parked, ParkedPost
from relay.service import app
from relay.store import keys
from tests import harness
from tests.bad_days.services import Service
from tests.cli import command
from tests.harness import ADDRESS, Relay
from tests.inbound.providers import BREVO, MAILGUN, RESEND, RESEND_CDN, Providers, answer, providers

pytestmark = pytest.mark.anyio

SECRET = "a-secret-to-sign-with"
API_KEY = "api-key-of-the-operator"
_TEXTS = {
    f"{name}_{kind}": value
    for name in ("brevo", "resend", "mailgun")
    for kind, value in (("secret", SECRET), ("api_key", API_KEY))
}
SETTINGS: dict[str, Any] = {**_TEXTS}
with_keys = pytest.mark.settings(**_TEXTS)
MAIL = b"From: Ann <ann@sender.test>\r\nTo: user1@mailsac.com\r\nSubject: Fetched\r\n\r\nHello, world.\r\n"


@dataclass(frozen=True)
class Announced:
    """A post, and where its mail is."""

    provider: str
    target: str
    headers: dict[str, str]
    body: bytes
    urls: list[str]  # without https://, in the order in which they are asked
    key: tuple[str, str]  # the header that carries the API key

    async def post(self, relay: Relay) -> httpx2.Response:
        return await relay.http.post(self.target, headers=self.headers, content=self.body)


def brevo(number: int = 1) -> Announced:
    item = {
        "Uuid": [f"uuid-{number}"],
        "From": {"Name": "Ann", "Address": "ann@sender.test"},
        "To": [{"Name": None, "Address": ADDRESS}],
        "Subject": "Fetched",
        "Headers": {"From": "Ann <ann@sender.test>", "To": ADDRESS, "Subject": "Fetched"},
        "RawTextBody": "Hello, world.\r\n",
        "Attachments": [{"Name": "a.csv", "ContentType": "text/csv", "DownloadToken": f"token/{number}"}],
    }
    return Announced(
        "brevo",
        "/inbound/brevo",
        {"authorization": f"Bearer {SECRET}", "content-type": "application/json"},
        json.dumps({"items": [item]}).encode(),
        [f"{BREVO}/v3/inbound/attachments/token%2F{number}"],
        ("api-key", API_KEY),
    )


def resend(number: int = 1) -> Announced:
    event = {"type": "email.received", "data": {"email_id": f"mail-{number}", "to": [ADDRESS]}}
    body, now = json.dumps(event).encode(), str(int(datetime.now(UTC).timestamp()))
    signed = f"msg_{number}.{now}.".encode() + body
    digest = base64.b64encode(hmac.digest(SECRET.encode(), signed, "sha256")).decode()
    headers = {"svix-id": f"msg_{number}", "svix-timestamp": now, "svix-signature": f"v1,{digest}"}
    return Announced(
        "resend",
        "/inbound/resend",
        {"content-type": "application/json", **headers},
        body,
        [f"{RESEND}/emails/receiving/mail-{number}", f"{RESEND_CDN}/raw/{number}?Signature=hush"],
        ("authorization", f"Bearer {API_KEY}"),
    )


def mailgun(number: int = 1) -> Announced:
    timestamp, token = str(int(datetime.now(UTC).timestamp())), f"token-{number}"
    url = f"{MAILGUN}/v3/domains/mg.example.com/messages/stored-{number}"
    fields = {
        "recipient": ADDRESS,
        "message-url": f"https://{url}",
        "body-plain": "Hello, world.",
        "timestamp": timestamp,
        "token": token,
        "signature": hmac.digest(SECRET.encode(), f"{timestamp}{token}".encode(), "sha256").hex(),
    }
    return Announced(
        "mailgun",
        "/inbound/mailgun",
        {"content-type": "application/x-www-form-urlencoded"},
        urlencode(fields).encode(),
        [url],
        ("authorization", f"Basic {base64.b64encode(f'api:{API_KEY}'.encode()).decode()}"),
    )


every_provider = pytest.mark.parametrize("announce", [brevo, resend, mailgun])
Announce = Callable[[int], Announced]


def good(post: Announced) -> list[bytes]:
    """What the URLs answer when all is well."""
    if post.provider == "brevo":
        return [answer(b"a,b\n")]
    if post.provider == "resend":
        return [answer(json.dumps({"raw": {"download_url": f"https://{post.urls[1]}"}}).encode()), answer(MAIL)]
    return [answer(json.dumps({"body-mime": MAIL.decode(), "recipients": "x@x.test"}).encode())]


@pytest.fixture
async def apis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], anyio_backend: object
) -> AsyncIterator[Providers]:
    """Reached by whatever service starts in the test; tries follow each other quickly. The log keeps what is secret."""
    monkeypatch.setattr(worker, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(worker, "_LONGEST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(worker, "_POLL_SECONDS", 0.2)
    async with providers(tmp_path) as running:
        for name, value in running.environment.items():
            monkeypatch.delenv(name.lower(), raising=False)
            monkeypatch.setenv(name, value)
        yield running
    shown = "".join(capfd.readouterr())
    assert not [secret for secret in (API_KEY, SECRET, "hush", "token", "stored-", "mail-1") if secret in shown]


@pytest.fixture
async def one(apis: Providers, tmp_path: Path) -> AsyncIterator[Relay]:
    """What does not depend on the store."""
    async with harness.relay("memory://", tmp_path, **SETTINGS) as running:
        yield running


async def until(relay: Relay, provider: str, outcome: str, times: int = 1) -> None:
    """Asks again and again: a fetch that fails has no event that a client could wait for."""
    wanted = f'relay_fetches_total{{outcome="{outcome}",provider="{provider}"}} {float(times)}'
    while wanted not in (await relay.internal.get("/metrics")).text:
        pass


async def dead_letters(relay: Relay) -> list[ParkedPost]:
    return await Parked(relay.process.service.store).list()


async def entries(relay: Relay) -> list[str]:
    """Ids in the queue."""
    [found] = await relay.process.service.store.ask(("ZRANGE", keys.FETCHES, 0, -1))
    return [fetch_id.decode() for fetch_id in found]


def will_answer(apis: Providers, post: Announced) -> None:
    for url, body in zip(post.urls, good(post), strict=True):
        apis.answer(url, body)


@every_provider
@with_keys
async def test_what_is_announced_is_fetched_and_arrives(apis: Providers, relay: Relay, announce: Announce) -> None:
    post = announce(1)
    will_answer(apis, post)
    async with relay.listen() as socket:
        answered = await post.post(relay)
        assert answered.status_code == 200
        assert list(answered.json()) == ["accepted", "rejected", "fetching"]
        message = await socket.message()
    assert (message["subject"], message["inbox"], message["text"].strip()) == ("Fetched", ADDRESS, "Hello, world.")
    if post.provider == "brevo":
        assert message["attachments"] == [hashlib.md5(b"a,b\n", usedforsecurity=False).hexdigest()]
        assert message["rawSynthesized"]
    else:
        assert message["raw"] == MAIL.decode()
        assert not message.get("rawSynthesized")
    assert apis.urls() == post.urls
    await until(relay, post.provider, "delivered")
    assert await entries(relay) == []
    given = [asked.headers.get(post.key[0]) for asked in apis.asked]
    assert given == [post.key[1], None][: len(post.urls)]


# What fails for now


async def test_what_fails_for_now_is_asked_again_until_it_comes(apis: Providers, one: Relay) -> None:
    post = brevo()
    [url], [body] = post.urls, good(post)
    passing = [
        answer(b"", "429 Too Many Requests", "Retry-After: 0"),
        answer(b"", "500 Oops"),
        answer(b"", "503 Later", "Retry-After: Sat, 21 Nov 2020 12:00:00 GMT"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort",
        b"nonsense\r\n\r\n",
        b"",
        answer(b"zipped", "200 OK", "Content-Encoding: gzip"),
    ]
    apis.answer(url, *passing, body)
    async with one.listen() as socket:
        await post.post(one)
        assert await socket.subject() == "Fetched"
    assert apis.urls() == [url] * (len(passing) + 1)
    await until(one, "brevo", "later", len(passing))


async def test_a_server_that_asks_for_time_gets_it(apis: Providers, one: Relay) -> None:
    post = brevo()
    apis.answer(post.urls[0], answer(b"", "429 Too Many Requests", "Retry-After: 99999999"))
    await post.post(one)
    await until(one, "brevo", "later")
    [fetch_id] = await entries(one)
    [due] = await one.process.service.store.ask(("ZSCORE", keys.FETCHES, fetch_id))
    assert 3590 < float(due) / 1000 - datetime.now(UTC).timestamp() <= 3600


async def test_a_slow_answer_is_cut_off_and_asked_for_again(
    apis: Providers, one: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "_SECONDS", 0.1)
    post = mailgun()
    will_answer(apis, post)
    apis.go_on.clear()
    async with one.listen() as socket:
        await post.post(one)
        await until(one, "mailgun", "later")
        apis.go_on.set()
        assert await socket.subject() == "Fetched"


async def test_a_download_that_has_expired_is_named_anew(apis: Providers, one: Relay) -> None:
    post = resend()
    first, mail = good(post)
    apis.answer(post.urls[0], first)
    apis.answer(post.urls[1], answer(b"<Error>expired</Error>", "403 Forbidden"), mail)
    async with one.listen() as socket:
        await post.post(one)
        assert await socket.subject() == "Fetched"
    assert apis.urls() == post.urls * 2


async def test_the_second_step_is_tried_again_alone(apis: Providers, one: Relay) -> None:
    post = resend()
    first, mail = good(post)
    apis.answer(post.urls[0], first)
    apis.answer(post.urls[1], answer(b"", "502 Bad Gateway"), mail)
    async with one.listen() as socket:
        await post.post(one)
        assert await socket.subject() == "Fetched"
    assert apis.urls() == [*post.urls, post.urls[1]]


async def test_the_operator_is_told_once_of_a_key_that_is_refused_and_the_mail_waits(
    apis: Providers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(worker, "_KEY_PAUSE_SECONDS", 1.0)
    posts = [resend(1), resend(2)]
    for post in posts:
        will_answer(apis, post)
        apis.answers[post.urls[0]].insert(0, answer(b"", "401 Unauthorized"))
    async with harness.relay("memory://", tmp_path, **SETTINGS) as one, one.listen() as socket:
        for post in posts:
            await post.post(one)
        await until(one, "resend", "key refused", 2)
        assert await entries(one) != []
        shown = capfd.readouterr().out
        assert shown.count("fetching.key_refused") == 1
        assert "set RELAY_RESEND_API_KEY to a key" in shown
        assert [await socket.subject() for _ in posts] == ["Fetched"] * 2


# What cannot be had


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (answer(b"", "404 Not Found"), f"{BREVO} answers 404"),
        (answer(b"", "410 Gone"), f"{BREVO} answers 410"),
        (answer(b"", "302 Found", "Location: https://evil.example/"), "a redirect is not followed"),
        (answer(b"x" * 40_000), "larger than it may be (RELAY_MAX_MESSAGE_BYTES)"),
        (answer(b"x" * 25_000), "larger than 32768 bytes"),  # as a mail
    ],
)
async def test_what_cannot_be_had_is_parked(apis: Providers, tmp_path: Path, refusal: bytes, reason: str) -> None:
    post = brevo()
    apis.answer(post.urls[0], refusal)
    async with harness.relay("memory://", tmp_path, max_message_bytes=32_768, **SETTINGS) as one:
        await post.post(one)
        await until(one, "brevo", "parked")
        [parked] = await dead_letters(one)
        assert reason in parked.reason
        assert await entries(one) == []
    assert apis.connected == [f"{BREVO}:443"]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [([answer(b"{")], "not JSON"), ([answer(b'{"body-mime": 1}')], "body-mime"), ([answer(b"<html>")], "begin")],
)
async def test_an_answer_that_is_no_mail_is_parked(
    apis: Providers, one: Relay, answers: list[bytes], reason: str
) -> None:
    post = mailgun()
    apis.answer(post.urls[0], *answers)
    await post.post(one)
    await until(one, "mailgun", "parked")
    [parked] = await dead_letters(one)
    assert reason in parked.reason


async def test_after_the_time_of_its_provider_it_is_parked(
    apis: Providers, one: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend_provider, "_RETRY_SECONDS", 0)
    post = resend()
    apis.answer(post.urls[0], answer(b"", "500 Oops"))
    await post.post(one)
    await until(one, "resend", "parked")
    assert [letter.reason for letter in await dead_letters(one)] == [f"given up at try 1: {RESEND} answers 500"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example%2f.x.resend.com", "127.0.0.1;.x.cloudfront.net"])
async def test_another_host_is_never_asked(apis: Providers, one: Relay, host: str) -> None:
    stored, announced = mailgun(), resend()
    stored = replace(stored, body=stored.body.replace(b"mailgun.net", b"mailgun.net.evil.example"))
    apis.answer(
        announced.urls[0],
        answer(json.dumps({"text": "Hi", "raw": {"download_url": f"https://{host}/"}}).encode()),
    )
    async with one.listen() as socket:
        assert "message-url" in (await stored.post(one)).json()["parked"][0]["reason"]
        await announced.post(one)
        message = await socket.message()
    assert (message["text"].strip(), message["rawSynthesized"]) == ("Hi", True)
    assert apis.connected == [f"{RESEND}:443"]


async def test_another_host_is_not_asked_even_if_the_queue_names_it(apis: Providers, one: Relay) -> None:
    for provider, url in (("resend", "https://evil.example/"), ("mailgun", f"https://{BREVO}/v3/account")):
        fetch = Fetch((url,), with_key=True, post=b"{}", received=datetime.now(UTC), event="1", retry_seconds=60)
        await Fetches(one.process.service.store).add(provider, "1", encode(fetch), keep_seconds=60)
    for provider in ("resend", "mailgun"):
        await until(one, provider, "parked")
    assert {letter.reason for letter in await dead_letters(one)} == {
        "a URL is not at a host of the provider: it is not asked"
    }
    assert apis.connected == []


async def test_what_nobody_can_read_in_the_queue_is_parked_as_it_is(apis: Providers, one: Relay) -> None:
    post = brevo()
    apis.go_on.clear()
    await post.post(one)
    await apis.until_asked(1)
    [fetch_id] = await entries(one)
    await one.process.service.store.ask(("HSET", keys.fetch(fetch_id), "first", b"of another version"))
    apis.answer(post.urls[0], answer(b"", "500 Oops"))
    apis.go_on.set()
    await until(one, "brevo", "parked")
    [parked] = await dead_letters(one)
    assert await Parked(one.process.service.store).body(parked) == b"of another version"


async def test_what_is_parked_is_fetched_when_the_operator_says_so(
    apis: Providers, empty_redis_url: str, tmp_path: Path
) -> None:
    post = mailgun()
    apis.answer(post.urls[0], answer(b"", "404 Not Found"), *good(post))
    async with harness.relay(empty_redis_url, tmp_path, **SETTINGS) as relay, relay.listen() as socket:
        await post.post(relay)
        await until(relay, "mailgun", "parked")
        variables = {"RELAY_REDIS_URL": empty_redis_url, "RELAY_MAILGUN_API_KEY": API_KEY}
        ended = await asyncio.to_thread(command.run, "parked", "retry", "--all", **variables)
        assert (ended.returncode, ended.stdout.partition(": ")[2]) == (
            0,
            "is being fetched by the service again\n",
        )
        assert await socket.subject() == "Fetched"
        assert await dead_letters(relay) == []


# Once, and not lost


async def test_an_event_that_is_posted_again_is_fetched_once(apis: Providers, one: Relay) -> None:
    post = resend()
    will_answer(apis, post)
    apis.go_on.clear()
    async with one.listen() as socket:
        first = (await post.post(one)).json()["fetching"]
        again = (await post.post(one)).json()["fetching"]
        assert again == [first[0] | {"duplicate": True}]
        apis.go_on.set()
        assert await socket.subject() == "Fetched"
        assert apis.urls() == post.urls
        await until(one, "resend", "delivered")
        await post.post(one)  # later: it is fetched again, and then known
        await until(one, "resend", "delivered", 2)
        await one.send("the next")
        assert await socket.subject() == "the next"


async def test_when_the_queue_is_full_the_provider_is_told_to_come_again(
    apis: Providers, one: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetches, "MAX_ENTRIES", 1)
    posts = [brevo(1), brevo(2)]
    for post in posts:
        will_answer(apis, post)
    apis.go_on.clear()
    async with one.listen() as socket:
        assert (await posts[0].post(one)).status_code == 200
        refused = await posts[1].post(one)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        apis.go_on.set()
        assert await socket.subject() == "Fetched"
        await until(one, "brevo", "delivered")
        assert (await posts[1].post(one)).status_code == 200
        assert await socket.subject() == "Fetched"


async def test_a_batch_is_taken_apart(apis: Providers, one: Relay) -> None:
    post = brevo()
    will_answer(apis, post)
    [item] = json.loads(post.body)["items"]
    items = [item | {"Uuid": ["2"], "Subject": "Without files", "Headers": None, "Attachments": []}, {}, item]
    async with one.listen() as socket:
        answered = (await replace(post, body=json.dumps({"items": items}).encode()).post(one)).json()
        assert [len(answered[name]) for name in ("accepted", "rejected", "parked", "fetching")] == [1, 0, 1, 1]
        assert {await socket.subject() for _ in range(2)} == {"Without files", "Fetched"}


async def test_what_a_killed_process_was_fetching_another_takes_up(
    apis: Providers, empty_redis_url: str, tmp_path: Path
) -> None:
    post = resend()
    will_answer(apis, post)
    apis.go_on.clear()
    variables = {f"RELAY_{name.upper()}": value for name, value in SETTINGS.items()}
    with await Service.start(empty_redis_url, tmp_path, **variables) as killed:
        async with httpx2.AsyncClient(base_url=killed.url, verify=False, trust_env=False) as http:
            assert (await http.post(post.target, headers=post.headers, content=post.body)).status_code == 200
        await apis.until_asked(1)
        killed.kill()
    async with harness.relay(empty_redis_url, tmp_path, **SETTINGS) as relay, relay.listen() as socket:
        [fetch_id] = await entries(relay)
        apis.go_on.set()
        # The time of the lease is over.
        await relay.process.service.store.ask(("ZADD", keys.FETCHES, 0, fetch_id))
        assert await socket.subject() == "Fetched"
        assert apis.urls() == [post.urls[0], *post.urls]
        await until(relay, "resend", "delivered")
        assert await entries(relay) == []
        await relay.send("the next")
        assert await socket.subject() == "the next"


async def test_what_a_process_was_fetching_when_it_ended_another_takes_up_at_once(
    apis: Providers, empty_redis_url: str, tmp_path: Path
) -> None:
    post = mailgun()
    will_answer(apis, post)
    apis.go_on.clear()
    async with harness.relay(empty_redis_url, tmp_path, **SETTINGS) as ending:
        await post.post(ending)
        await apis.until_asked(1)
    apis.go_on.set()
    async with harness.relay(empty_redis_url, tmp_path, **SETTINGS) as relay, relay.listen(since="1h") as socket:
        assert await socket.subject() == "Fetched"


async def test_of_two_processes_one_fetches(apis: Providers, empty_redis_url: str, tmp_path: Path) -> None:
    posts = [brevo(number) for number in range(12)]
    for post in posts:
        will_answer(apis, post)
    async with (
        harness.relay(empty_redis_url, tmp_path, **SETTINGS) as first,
        harness.relay(empty_redis_url, tmp_path, **SETTINGS) as second,
        first.listen() as socket,
    ):
        await asyncio.gather(*(post.post(relay) for post, relay in zip(posts, [first, second] * 6, strict=True)))
        assert [await socket.subject() for _ in posts] == ["Fetched"] * len(posts)
        assert sorted(apis.urls()) == sorted(url for post in posts for url in post.urls)


# Without a key


async def test_without_a_key_stored_mail_is_parked_with_the_name_of_the_setting(tmp_path: Path) -> None:
    async with harness.relay("memory://", tmp_path, mailgun_secret=SECRET) as relay:
        [parked] = (await mailgun().post(relay)).json()["parked"]
    assert "set RELAY_MAILGUN_API_KEY, and then relay parked retry" in parked["reason"]


@pytest.mark.parametrize("name", ["brevo", "resend"])
def test_a_provider_that_could_bring_no_mail_ends_the_start(name: str) -> None:
    with pytest.raises(ConfigError, match=f"RELAY_{name.upper()}_API_KEY: must be set"):
        app.Service(settings.load({}, **{f"{name}_secret": SECRET}))
