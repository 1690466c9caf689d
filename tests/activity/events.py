"""Events as a test asks for them: what an account sees over REST, and what the operator sees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from relay.activity import Journal
from tests.harness import KEY, Relay

Events = list[dict[str, Any]]


async def events(relay: Relay, *, key: str = KEY, **query: str) -> Events:
    """Of an account, newest first."""
    answer = await relay.rest("GET", "/api/activity", key=key, params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["events"])


async def until(relay: Relay, *kinds: str, key: str = KEY) -> Events:
    """Waits until there was an event of each of these kinds, so many times as it is named; all events, oldest first."""
    cursor, seen = "0-0", Events()
    while not _holds(seen, kinds):
        answer = await relay.rest("GET", "/api/activity", key=key, params={"since": cursor, "wait": "30"})
        assert answer.status_code == 200, answer.text
        seen += reversed(answer.json()["events"])
        cursor = answer.json()["cursor"]
    return seen


def _holds(seen: Events, kinds: Iterable[str]) -> bool:
    left = [event["kind"] for event in seen]
    for kind in kinds:
        if kind not in left:
            return False
        left.remove(kind)
    return True


async def of_all(relay: Relay, *kinds: str) -> Events:
    """What the operator sees, oldest first; asks until there was an event of each of these kinds."""
    journal = Journal(relay.process.service.store, keep_seconds=60)
    while True:
        seen = (await journal.page(None, limit=1000, names_accounts=True)).events[::-1]
        if _holds(seen, kinds):
            return seen


def brief(some: Events) -> list[tuple[str, str]]:
    """Kind and inbox of each."""
    return [(event["kind"], event.get("inbox", "")) for event in some]
