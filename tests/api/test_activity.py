"""REST of activity: what its parameters may be."""

from __future__ import annotations

import httpx2
import pytest

pytestmark = pytest.mark.anyio

PATH = "/api/activity"


@pytest.mark.parametrize(
    ("query", "member"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "1e2"}, "limit"),
        ({"limit": "١"}, "limit"),
        ({"wait": "61"}, "wait"),
        ({"wait": "-1"}, "wait"),
        ({"wait": "nan"}, "wait"),
        ({"wait": "9" * 400}, "wait"),
        ({"since": "yesterday"}, "since"),
        ({"since": "1-"}, "since"),
        ({"since": "(1-1"}, "since"),
        ({"since": "1" * 16 + "-0"}, "since"),
        ({"inbox": "not an address"}, "inbox"),
    ],
)
async def test_a_bad_value_is_400_and_says_which(
    ann: httpx2.AsyncClient, query: dict[str, str], member: str
) -> None:
    answer = await ann.get(PATH, params=query)
    assert answer.status_code == 400
    assert answer.json()["validationErrors"][0].startswith(f"{member}: ")


async def test_the_edges_are_fine_and_strangers_are_not(
    ann: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    for query in ({"limit": "1000", "wait": "0"}, {"since": "9" * 15 + "-" + "9" * 15}, {"limit": "", "wait": ""}):
        answer = await ann.get(PATH, params=query)
        assert (answer.status_code, answer.json()["events"]) == (200, [])
        assert answer.headers["cache-control"] == "no-store"
    assert (await anonymous.get(PATH)).status_code == 401
    assert (await anonymous.get(PATH, headers={"Mailsac-Key": "no-such-key"})).status_code == 401
    assert (await ann.post(PATH)).status_code == 405
