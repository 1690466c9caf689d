"""The message of the seed arrives as its page prints it.

The page lost the lines that held only braces, and contradicts its own raw text in three places; ``_id`` and five
more come from the receiving side. All that is named here; every other key is held to the page.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness import ADDRESS, Relay

pytestmark = pytest.mark.anyio

PRINTED: dict[str, Any] = json.loads((Path(__file__).parent / "seed.json").read_text())
FROM_THE_RECEIVING_SIDE = {"_id", "received", "spam", "rtls", "ip", "via"}
CONTRADICTED_BY_ITS_OWN_RAW = {"size", "html"}  # and headers.to
ADDED = {"cc", "bcc", "attachments", "links"}


async def arrived(relay: Relay) -> dict[str, Any]:
    async with relay.listen() as socket:
        await relay.post(PRINTED["raw"].encode(), ADDRESS)
        return await socket.message()


async def test_every_key_that_can_be_computed_equals_the_page(relay: Relay) -> None:
    message = await arrived(relay)
    excepted = FROM_THE_RECEIVING_SIDE | CONTRADICTED_BY_ITS_OWN_RAW | {"headers"}
    assert {key: message[key] for key in PRINTED if key not in excepted} == {
        key: value for key, value in PRINTED.items() if key not in excepted
    }
    assert message["headers"] == PRINTED["headers"] | {"to": "user1@mailsac.com"}  # the page: jeff@mailsac.com
    assert list(message["headers"]) == list(PRINTED["headers"])


async def test_what_the_page_contradicts_is_what_its_raw_says(relay: Relay) -> None:
    message = await arrived(relay)
    assert message["size"] == len(PRINTED["raw"].encode())
    assert message["html"] == " Here's some message text.\n\nWe are testing web sockets.\n "


async def test_keys_and_types_are_the_pages(relay: Relay) -> None:
    message = await arrived(relay)
    assert set(message) == set(PRINTED) | ADDED
    assert next(iter(message)) == "_id"
    assert {key: type(message[key]) for key in PRINTED if key != "spam"} == {
        key: type(value) for key, value in PRINTED.items() if key != "spam"
    }


async def test_what_is_not_known_is_said_so(relay: Relay) -> None:
    message = await arrived(relay)
    assert {key: message[key] for key in ("spam", "ip", "via", "rtls")} == {
        "spam": None,
        "ip": "",
        "via": "",
        "rtls": False,
    }
    assert {key: message[key] for key in ADDED} == {"cc": [], "bcc": [], "attachments": None, "links": []}
