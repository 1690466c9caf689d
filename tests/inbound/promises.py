"""What the tests of every provider ask of it: any post is mails or a documented refusal, and secrets stay secret."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import strategies as st

from relay import mime
from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.webhook.fetch_codec import decode, encode
from relay.inbound.webhook.provider import (
    Delivery,
    Fetch,
    FetchingProvider,
    NotProven,
    Post,
    Provider,
    Unreadable,
)
from tests.harness import Relay

TEXT = st.text(max_size=20) | st.text(st.sampled_from('\r\n\0 \t:"\\<>@,;=?%[]\x85\u2028é😀aX'), max_size=20)
BASE64 = st.text(st.sampled_from("QUJD=\r\n+/-_ "), max_size=20)
NUMBERS = st.integers() | st.floats() | st.just(10**400) | st.just(True)


def json_like(names: Iterable[str], *, also: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Any]:
    """Objects that have some of the names, with values of any type, nested a little."""
    leaves = st.none() | NUMBERS | TEXT | BASE64 | st.just("a@b.test")
    if also is not None:
        leaves |= also
    keys = st.sampled_from(sorted(names)) | TEXT
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=8), max_leaves=25
    )


def as_json(value: object) -> bytes:
    """The JSON as a lenient writer makes it: NaN, and halves of UTF-16 pairs."""
    return json.dumps(value).encode()


def mails_or_refusal(provider: Provider, post: Post) -> list[Delivery | Fetch | Unreadable]:
    """What parse gives; empty when it refused. Any other error, or a mail that breaks a promise, fails the test."""
    try:
        found = list(provider.parse(post))
    except (BadRequest, UnsupportedMediaType):
        return []
    for one in found:
        if isinstance(one, Unreadable):
            assert one.reason
            continue
        if isinstance(one, Fetch):
            assert isinstance(provider, FetchingProvider)
            assert all(map(provider.may_fetch, one.urls))
            assert decode(encode(one)) == one
            continue
        assert one.recipients
        assert all(one.recipients)
        assert one.raw
        assert one.parts == mime.parse(one.raw)
        assert one.received.tzinfo
        assert one.spam is None or 0 <= one.spam <= 1
        assert one.retry_seconds > 0
        assert one.event
        for value in (one.ip, one.via, one.rerouted_from, *one.recipients):
            value.encode()  # no lone surrogate
    return found


def proven_or_not(provider: Provider, post: Post) -> bool:
    """Whether verify lets the post in. Any error but NotProven fails the test."""
    try:
        provider.verify(post)
    except NotProven:
        return False
    return True


def assert_keeps(secret: str, provider: Provider, *refused: Post) -> None:
    """The secret is in no text that the provider shows, and in none of the errors that it gives for the posts."""
    assert secret not in repr(provider)
    assert secret not in str(provider)
    for post in refused:
        with pytest.raises((NotProven, BadRequest, UnsupportedMediaType)) as refusal:
            _take(provider, post)
        assert secret not in f"{refusal.value} {refusal.value.body()} {dict(refusal.value.headers)}"


def _take(provider: Provider, post: Post) -> None:
    provider.verify(post)
    provider.parse(post)


async def through_the_door(
    relay: Relay, target: str, headers: list[tuple[str, str]], body: bytes
) -> dict[str, Any]:
    """The message that a listener gets after the post was answered 200, with what the post was told."""
    async with relay.listen() as socket:
        answer = await relay.http.post(target, headers=headers, content=body)
        assert answer.status_code == 200, answer.text
        [accepted] = answer.json()["accepted"]
        again = await relay.http.post(target, headers=headers, content=body)
        assert [one["duplicate"] for one in again.json()["accepted"]] == [True]
        message = await socket.message()
        assert message["_id"] == accepted["_id"]
        await relay.send("the next")  # what was posted twice came once
        assert await socket.subject() == "the next"
        return message
