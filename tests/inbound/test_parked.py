"""The dead letters: bounded, each once, and all that a parser needs to read them again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest
from starlette.datastructures import QueryParams

from relay import store
from relay.errors import RelayError, TooLarge
from relay.inbound.webhook.provider import (
    Delivery,
    Fetch,
    Post,
    PostHeaders,
    Provider,
    Unreadable,
)
from relay.queues import parked
from relay.queues.parked import MAX_BYTES, MAX_ENTRIES, Parked
from tests.inbound.cases import Case, cases

NOW = datetime(2026, 11, 21, 12, 0, 0, 123000, tzinfo=UTC)
HEADERS = (("content-type", "application/json"), ("x-envelope-to", "\xfc@x.test"))


@pytest.fixture
async def room(redis_url: str, anyio_backend: object) -> AsyncIterator[Parked]:
    opened = store.connect(redis_url, timeout_seconds=10)
    yield Parked(opened)
    await opened.close()


async def add(room: Parked, body: bytes, reason: str = "no reason") -> tuple[str, int]:
    return await room.add("raw", NOW, reason, HEADERS, body)


@pytest.mark.anyio
async def test_what_is_parked_is_there_as_it_came(room: Parked) -> None:
    body = bytes(range(256))
    post_id, displaced = await add(room, body, "line\nbreak " + "x" * 1000)
    assert parked.is_id(post_id)
    assert displaced == 0
    [post] = await room.list()
    assert (post.id, post.provider, post.received, post.headers, post.size_bytes) == (
        post_id,
        "raw",
        NOW,
        HEADERS,
        256,
    )
    assert post.reason.startswith("line break xxx")
    assert len(post.reason) == 300
    assert await room.body(post) == body


@pytest.mark.anyio
async def test_the_same_again_is_the_same(room: Parked) -> None:
    first, _ = await add(room, b"x")
    assert (await add(room, b"x", "said otherwise"))[0] == first
    others = [
        await room.add("mailsac", NOW, "", HEADERS, b"x"),
        await room.add("raw", NOW, "", (), b"x"),
        await add(room, b"y"),
    ]
    assert len({first, *(post_id for post_id, _ in others)}) == 4
    assert [post.id for post in await room.list()] == [first, *(post_id for post_id, _ in others)]


@pytest.mark.anyio
async def test_what_is_dropped_is_gone(room: Parked) -> None:
    for body in (b"x", b"y", b"z"):
        await add(room, body)
    first, second, third = await room.list()
    assert await room.drop(second)
    assert not await room.drop(second)
    assert await room.body(second) is None
    assert await room.list() == [first, third]
    await add(room, b"y")
    assert [post.id for post in await room.list()] == [first.id, third.id, second.id]


@pytest.mark.anyio
async def test_the_oldest_makes_room_for_the_one_too_many(room: Parked) -> None:
    ids = [(await add(room, b"%d" % number))[0] for number in range(MAX_ENTRIES)]
    first = (await room.list())[0]
    assert await add(room, b"one more") == ((await room.list())[-1].id, 1)
    assert [post.id for post in await room.list()][:-1] == ids[1:]
    assert await room.body(first) is None


@pytest.mark.anyio
async def test_bytes_are_bounded_whatever_was_dropped(room: Parked) -> None:
    third = b"x" * (MAX_BYTES // 3 - 200)
    for number in range(3):
        assert (await add(room, b"%d" % number + third))[1] == 0
    await room.drop((await room.list())[-1])
    assert (await add(room, b"3" + third))[1] == 0  # what is dropped makes room: nothing else has to go
    assert (await add(room, b"small"))[1] == 0
    assert (await add(room, b"large" + third + third))[1] == 2
    assert [post.size_bytes for post in await room.list()] == [len(third) + 1, 5, 2 * len(third) + 5]
    with pytest.raises(TooLarge):
        await add(room, b"x" * MAX_BYTES)
    assert len(await room.list()) == 3
    assert (await add(room, b"x" * (MAX_BYTES - 200)))[1] == 3


@pytest.mark.parametrize("text", ["", "x" * 16, "0123456789ABCDEF", "0123456789abcde", "0123456789abcdef\n"])
def test_what_is_no_id(text: str) -> None:
    assert not parked.is_id(text)


# What is kept is enough

PARKING = [case for case in cases() if "mails" in case.expected and case.provider != "raw"]


@pytest.mark.parametrize("case", PARKING, ids=lambda case: f"{case.provider}-{case.name}")
def test_a_post_is_read_from_what_is_kept_of_it(case: Case) -> None:
    """Of ``raw``, whose recipients may stand in the query, nothing is ever parked."""
    provider, post = case.taker(), case.post()
    assert _read(provider, post, post.body) == provider.parse(post)


@pytest.mark.parametrize("case", PARKING, ids=lambda case: f"{case.provider}-{case.name}")
def test_an_event_of_a_batch_is_a_post_of_its_own(case: Case) -> None:
    """So that ``relay parked retry`` can have it read."""
    provider, post = case.taker(), case.post()
    for event in provider.parse(post):
        if isinstance(event, Unreadable):
            assert _reasons(provider, post, event.body) == [event.reason]
        if isinstance(event, Fetch):
            assert _read(provider, post, event.post) == [event]


def _read(provider: Provider, post: Post, body: bytes) -> Sequence[Delivery | Fetch | Unreadable]:
    headers = PostHeaders([(n.encode(), v.encode("latin-1")) for n, v in parked.kept(post.headers.items())])
    return provider.parse(Post(headers, QueryParams(), body, post.received))


def _reasons(provider: Provider, post: Post, body: bytes) -> list[str]:
    try:
        return [event.reason for event in _read(provider, post, body) if isinstance(event, Unreadable)]
    except RelayError as error:
        return [str(error)]
