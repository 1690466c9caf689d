"""REST of messages, over both stores, against a whole relay that got them by its inbound door."""

from __future__ import annotations

import pytest

from tests.harness import ADDRESS, OTHER_ADDRESS, OTHER_KEY, Relay

pytestmark = pytest.mark.anyio


def path(message_id: str, inbox: str = ADDRESS) -> str:
    return f"/api/addresses/{inbox}/messages/{message_id}"


async def test_one_message(relay: Relay) -> None:
    message_id = await relay.send("first")
    answer = await relay.rest("GET", path(message_id))
    assert answer.status_code == 200
    assert (answer.json()["_id"], answer.json()["subject"]) == (message_id, "first")


async def test_whose_message_it_is(relay: Relay) -> None:
    message_id = await relay.send("secret")
    others_id = await relay.send("other", OTHER_ADDRESS)
    for asked, key, status in (
        (path(message_id), OTHER_KEY, 401),
        (path(others_id, OTHER_ADDRESS), "key-of-user1", 401),
        (path(message_id, "free@mailsac.com"), "key-of-user1", 401),
        (path(others_id), "key-of-user1", 404),
        (path("nonsense"), "key-of-user1", 400),
    ):
        assert (await relay.rest("GET", asked, key=key)).status_code == status, asked
