"""What the builders build is taken by the providers whose posts they make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from starlette.datastructures import QueryParams

from relay import builders
from relay.builders import Built
from relay.inbound.providers import PROVIDERS
from relay.inbound.webhook.provider import Delivery, NotProven, Post, PostHeaders

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TO = "user+tag@example.com"
MAIL = b"From: Ann <ann@x.test>\r\nTo: user@example.com\r\nSubject: Hello\r\nMessage-ID: <1@x.test>\r\n\r\nHi\r\n"
every_builder = pytest.mark.parametrize("name", builders.names())


def as_post(built: Built) -> Post:
    headers = [(name.lower().encode(), value.encode()) for name, value in built.headers]
    return Post(PostHeaders(headers), QueryParams(urlsplit(built.target).query), built.body, NOW)


@every_builder
def test_a_built_post_is_proven_and_brings_its_mail(name: str) -> None:
    signing, verifying = builders.pair(name)
    provider = PROVIDERS[name](("another", verifying))
    built = builders.build(name, MAIL, [TO], signing, NOW)
    assert urlsplit(built.target).path == f"/inbound/{name}"
    post = as_post(built)
    provider.verify(post)
    [delivery] = provider.parse(post)
    assert isinstance(delivery, Delivery)
    assert delivery.recipients == (TO,)
    assert delivery.parts.subject == "Hello"
    assert delivery.parts.text.strip() == "Hi"
    assert delivery.raw_synthesized or delivery.raw == MAIL


@every_builder
def test_with_another_secret_it_is_not_proven(name: str) -> None:
    signing, _ = builders.pair(name)
    with pytest.raises(NotProven):
        PROVIDERS[name](("another",)).verify(as_post(builders.build(name, MAIL, [TO], signing, NOW)))


@every_builder
def test_the_same_is_the_same_post(name: str) -> None:
    """As a retry is."""
    signing, verifying = builders.pair(name)
    first, again = (event_of(name, signing, verifying, NOW) for _ in range(2))
    assert first == again != ""


@pytest.mark.parametrize("name", ["raw", "mailsac"])
def test_sent_later_it_is_meant_anew(name: str) -> None:
    events = {event_of(name, "s", "s", NOW + timedelta(milliseconds=later)) for later in range(3)}
    assert len(events) == 3


def event_of(name: str, signing: str, verifying: str, now: datetime) -> str:
    provider = PROVIDERS[name]((verifying,))
    [delivery] = provider.parse(as_post(builders.build(name, MAIL, [TO], signing, now)))
    assert isinstance(delivery, Delivery)
    return delivery.event


@every_builder
def test_a_mail_of_more_than_a_megabyte_is_whole(name: str) -> None:
    """In one field of a form, where most readers of forms stop at a megabyte."""
    signing, verifying = builders.pair(name)
    mail = MAIL + "a line of 1,300,000 bytes, wörld %+&=\r\n".encode() * 32_000
    post = as_post(builders.build(name, mail, [TO], signing, NOW))
    provider = PROVIDERS[name]((verifying,))
    provider.verify(post)
    [delivery] = provider.parse(post)
    assert isinstance(delivery, Delivery)
    assert delivery.parts.text.count("a line of 1,300,000 bytes, wörld %+&=\n") == 32_000
    assert delivery.raw_synthesized or delivery.raw == mail
    assert len(post.body) <= provider.body_limit(len(mail))


@pytest.mark.parametrize("name", ["raw", "mailsac"])
def test_bytes_that_are_no_text_survive(name: str) -> None:
    mail = b"Subject: x\r\n\r\n" + bytes(range(256))
    provider = PROVIDERS[name](("s",))
    [delivery] = provider.parse(as_post(builders.build(name, mail, [TO], "s", NOW)))
    assert isinstance(delivery, Delivery)
    assert delivery.raw == mail


@pytest.mark.parametrize("name", ["pigeon", "", "__init__", "..raw"])
def test_an_unknown_builder_is_a_lookup_error(name: str) -> None:
    with pytest.raises(LookupError):
        builders.build(name, MAIL, [TO], "s", NOW)


def test_only_providers_have_builders() -> None:
    assert {"raw", "mailsac"} <= set(builders.names()) <= set(PROVIDERS)
