"""``POST /inbound/improvmx``: what cases cannot show: any input, the way through the door, and its cost in tries."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from relay import mime
from relay.builders.improvmx import build
from relay.errors import BadRequest, NotAMail, UnsupportedMediaType
from relay.inbound.providers.improvmx import ImprovMX
from relay.inbound.webhook.provider import Answers, Delivery, NotProven
from tests.harness import ADDRESS, Relay
from tests.inbound.cases import FOLDER, read
from tests.inbound.journey import MAIL, built, filenames, send
from tests.inbound.json_events import damaged
from tests.inbound.posts import header_values, post

SECRET = "the-secret-of-the-url"
OLD = "the-secret-before"
EVENT: dict[str, Any] = json.loads(read(FOLDER / "improvmx" / "files.http").body)

provider = ImprovMX((SECRET,))


@pytest.mark.anyio
@pytest.mark.settings(improvmx_secret=f"{SECRET},{OLD}")
async def test_a_mail_arrives_rebuilt_with_its_files_and_once(relay: Relay) -> None:
    now = datetime.now(UTC)
    async with relay.listen() as socket:
        for secret in (OLD, SECRET, SECRET):
            answer = await send(relay, build, secret, now=now)
            assert answer.status_code == 200
        message = await socket.message()
        assert answer.json()["accepted"] == [{"inbox": ADDRESS, "_id": message["_id"], "duplicate": True}]
    assert message["rawSynthesized"] is True
    original = mime.parse(MAIL)
    assert (message["inbox"], message["subject"], message["text"]) == (ADDRESS, "Hello", original.text)
    assert (message["html"], message["attachments"]) == (original.html, list(original.attachments))
    assert message["from"] == [{"address": "joerg@sender.test", "name": "Jörg"}]


@pytest.mark.anyio
@pytest.mark.settings(improvmx_secret=SECRET)
async def test_no_secret_is_shown(relay: Relay) -> None:
    with capture_logs() as logs:
        answer = await send(relay, build, "another")
        assert answer.status_code == 401
        await send(relay, build, SECRET)
    for shown in (answer.text, str(logs), repr(provider), str(provider)):
        assert SECRET not in shown


def test_what_cannot_be_read_is_taken_for_no_try_would_end_otherwise() -> None:
    assert provider.answers == Answers(not_proven=401, unreadable=200, too_large=413)


@given(header_values(), st.text(max_size=20))
def test_any_post_without_the_secret_is_not_proven(header: bytes, token: str) -> None:
    with pytest.raises(NotProven):
        provider.verify(post([("Authorization", header)], query=f"token={token}"))


def test_the_same_mail_is_the_same_event_and_another_under_its_message_id_is_not() -> None:
    mails = (MAIL, MAIL, MAIL.replace(b"a,b", b"c,d"))
    first, again, other = (one.event for mail in mails for one in provider.parse(built(build, SECRET, mail)))
    assert first == again != other


@settings(max_examples=300, deadline=None)
@given(damaged(EVENT) | st.binary(max_size=60))
def test_any_body_is_deliveries_or_refused(body: bytes) -> None:
    with suppress(BadRequest, NotAMail, UnsupportedMediaType):
        for delivery in provider.parse(post([], body)):
            assert isinstance(delivery, Delivery)
            assert delivery.recipients[0]
            assert delivery.received.tzinfo
            assert delivery.parts == mime.parse(delivery.raw)
            assert delivery.spam is None or 0 <= delivery.spam <= 1


def test_files_keep_their_names() -> None:
    [delivery] = provider.parse(post([], json.dumps(EVENT).encode()))
    assert filenames(delivery.raw) == ["screenshot.png", "über.csv", "note.txt", None, None]
    headers = dict(delivery.parts.headers)
    assert headers["message-id"] == "<CAF1@mail.example.org>"
    assert headers["return-path"] == "<joerg@example.org>"
    assert headers["date"] == "Sat, 21 Nov 2026 04:00:00 -0800"


def test_what_another_provider_posts_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedMediaType, match="the JSON of ImprovMX"):
        provider.parse(post([("Content-Type", "message/rfc822")], MAIL))


def test_a_large_mail_fits() -> None:
    content = "\r\n".join(["ünïcödé " * 12] * 30_000)
    mail = f"From: a@b.test\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{content}\r\n".encode()
    request = built(build, SECRET, mail)
    assert len(mail) > 1 << 20
    assert len(request.body) < provider.body_limit(len(mail))
    [delivery] = provider.parse(request)
    assert isinstance(delivery, Delivery)
    assert delivery.parts.text == mime.parse(mail).text
