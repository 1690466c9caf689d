"""A listener that ends and begins again, as its state file knows it."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from relay.client import BadState, Listener
from tests.client.conftest import Client, subjects
from tests.harness import ADDRESS, Relay

pytestmark = pytest.mark.anyio

SECOND = "second@mailsac.com"


class Failed(Exception):
    """The consumer has."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "listener.json"


def put(state: Path, text: str) -> None:
    state.write_text(text)


def kept_in(state: Path) -> Any:
    return json.loads(state.read_text())


async def fails_at(messages: Listener, subject: str) -> list[str]:
    """Takes messages up to that one, and fails while it has it."""
    taken: list[str] = []
    with suppress(Failed):
        async with messages:
            async for message in messages:
                if message["subject"] == subject:
                    raise Failed
                taken.append(message["subject"])
    return taken


async def test_the_next_run_goes_on_where_the_last_one_ended(relay: Relay, client: Client, state: Path) -> None:
    async with client.listen(f"{ADDRESS},{SECOND}", state=state) as messages:
        await relay.send("1")
        await relay.send("2", SECOND)
        assert await subjects(messages, 2) == ["1", "2"]
    await relay.send("3", SECOND)
    await relay.send("4")
    async with client.listen(f"{ADDRESS},{SECOND}", state=state, since="1h") as messages:
        assert await subjects(messages, 2) == ["3", "4"]


async def test_a_message_at_which_the_consumer_failed_comes_again(
    relay: Relay, client: Client, state: Path
) -> None:
    async with client.listen(state=state):
        pass
    for number in range(4):
        await relay.send(str(number))
    assert await fails_at(client.listen(state=state), "2") == ["0", "1"]
    assert await fails_at(client.listen(state=state), "3") == ["2"]
    async with aclosing(client.listen(state=state)) as messages:
        assert await subjects(messages, 1) == ["3"]  # nobody can know whether it was handled
    async with client.listen(state=state) as messages:
        assert await subjects(messages, 1) == ["3"]
    async with client.listen(state=state) as messages:
        await relay.send("4")
        assert await subjects(messages, 1) == ["4"]


async def test_who_ended_before_the_first_message_missed_none(relay: Relay, client: Client, state: Path) -> None:
    messages = client.listen(state=state)
    await messages.__aenter__()
    kept = kept_in(state)
    assert kept == {"version": 1, "since": kept["since"], "cursors": {}}
    await messages.aclose()
    await relay.send("between")
    async with client.listen(state=state) as messages:
        assert await subjects(messages, 1) == ["between"]


async def test_it_is_written_while_the_listener_waits(relay: Relay, client: Client, state: Path) -> None:
    async with client.listen(state=state) as messages:
        await relay.send("1")
        last = await relay.send("2")
        await subjects(messages, 1)
        assert kept_in(state)["cursors"] == {}  # it may fail yet
        await subjects(messages, 1)
        assert kept_in(state)["cursors"].get(ADDRESS) != last
        waiting = asyncio.ensure_future(anext(messages))
        while kept_in(state)["cursors"].get(ADDRESS) != last:
            await relay.ready()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_inboxes_that_are_not_listened_to_any_more_are_left_out(
    relay: Relay, client: Client, state: Path
) -> None:
    async with client.listen(f"{ADDRESS},{SECOND}", state=state) as messages:
        await relay.send("1")
        await relay.send("2", SECOND)
        await subjects(messages, 2)
    async with client.listen(SECOND.upper(), state=state) as messages:
        await relay.send("3", SECOND)
        assert await subjects(messages, 1) == ["3"]
    assert list(kept_in(state)["cursors"]) == [SECOND]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[]", "not of this program"),
        ('{"version": 2, "since": "2026-01-01T00:00:00Z", "cursors": {}}', "another version"),
        ('{"version": 1, "since": "yesterday", "cursors": {}}', "its time is none"),
        ('{"version": 1, "since": "2026-01-01T00:00:00Z", "cursors": {"a@x.test": 1}}', "no _id for a@x.test"),
    ],
)
async def test_a_file_that_is_none_of_ours_is_named_and_kept(
    client: Client, state: Path, text: str, why: str
) -> None:
    put(state, text)
    with pytest.raises(BadState, match=why) as bad:
        await anext(client.listen(state=state))
    assert str(state) in str(bad.value)
    assert client.link.requests == []


async def test_a_place_where_nothing_can_be_written_is_told_at_once(client: Client, tmp_path: Path) -> None:
    with pytest.raises(BadState, match=r"no-such/folder.*No such file or directory"):
        await anext(client.listen(state=tmp_path / "no-such" / "folder" / "file"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadState, match="Is a directory"):
        await anext(client.listen(state=tmp_path / "folder"))


async def test_two_listeners_cannot_share_it(relay: Relay, client: Client, state: Path) -> None:
    async with client.listen(state=state) as messages:
        with pytest.raises(BadState, match="another listener"):
            await anext(client.listen(state=state))
        await relay.send("1")
        assert await subjects(messages, 1) == ["1"]
    async with client.listen(state=state):
        pass


async def test_a_link_stays_a_link(relay: Relay, client: Client, state: Path) -> None:
    link = state.with_name("link")
    link.symlink_to(state)
    async with client.listen(state=link):
        pass
    assert link.is_symlink()
    assert kept_in(state)["version"] == 1
