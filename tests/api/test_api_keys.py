"""REST of API keys."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx2
import pytest

from relay.accounts import Accounts
from relay.api.api_keys import KEYS_LIMIT
from tests import harness
from tests.api.conftest import ANN_KEY, BOB_KEY

pytestmark = pytest.mark.anyio


async def test_a_key_from_the_first_call_to_the_last(ann: httpx2.AsyncClient) -> None:
    made = (await ann.post("/api/keys", json={"label": "laptop"})).json()
    assert set(made) == {"id", "key", "label", "source", "created", "readOnly", "address", "expires"}
    assert re.fullmatch(r"rk_[\w-]{32}", made["key"])
    assert (made["label"], made["source"]) == ("laptop", "api")
    shown = await ann.get("/api/keys")
    assert made["key"] not in shown.text
    assert {row["label"]: row["current"] for row in shown.json()} == {"": True, "laptop": False}
    [row] = [row for row in shown.json() if row["label"]]
    assert row == {name: made[name] for name in made if name != "key"} | {"current": False}
    with_it = {"Mailsac-Key": made["key"]}
    assert [row["current"] for row in (await ann.get("/api/keys", headers=with_it)).json()] == [False, True]
    revoked = await ann.delete(f"/api/keys/{made['id']}")
    assert (revoked.status_code, revoked.json()["id"]) == (200, made["id"])
    assert (await ann.get("/api/keys", headers=with_it)).status_code == 401
    assert len((await ann.get("/api/keys")).json()) == 1


async def test_a_key_may_end_itself_but_not_when_it_is_the_last(ann: httpx2.AsyncClient) -> None:
    [own] = (await ann.get("/api/keys")).json()
    refused = await ann.delete(f"/api/keys/{own['id']}")
    assert (refused.status_code, "make another first" in refused.json()["error"]) == (400, True)
    await ann.post("/api/keys")
    assert "use another" in (await ann.delete(f"/api/keys/{own['id']}")).json()["message"]
    assert (await ann.get("/api/keys")).status_code == 401


async def test_keys_that_are_revoked_at_once_leave_one(ann: httpx2.AsyncClient) -> None:
    made = [(await ann.post("/api/keys")).json()["key"] for _ in range(3)]
    every = [key["id"] for key in (await ann.get("/api/keys")).json()]
    answers = await asyncio.gather(*(ann.delete(f"/api/keys/{one}") for one in every))
    assert [answer.status_code for answer in answers].count(200) <= 3
    left = [await ann.get("/api/keys", headers={"Mailsac-Key": key}) for key in (ANN_KEY, *made)]
    assert 200 in {answer.status_code for answer in left}


async def test_the_key_in_a_body_makes_a_key_too(anonymous: httpx2.AsyncClient) -> None:
    made = await anonymous.post("/api/keys", json={"_mailsacKey": ANN_KEY, "label": "ci"})
    assert made.json()["label"] == "ci"


async def test_keys_of_others_are_as_unknown_as_any(
    ann: httpx2.AsyncClient, bob: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    await ann.post("/api/keys")
    [of_bob] = (await bob.get("/api/keys")).json()
    # A whole key, or its hash, is no id: it would stand in logs of URLs.
    answers = [await ann.delete(f"/api/keys/{name}") for name in (of_bob["id"], "0" * 12, ANN_KEY, "%00")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    for method, path in (("GET", "/api/keys"), ("POST", "/api/keys"), ("DELETE", f"/api/keys/{of_bob['id']}")):
        assert (await anonymous.request(method, path)).status_code == 401


@pytest.mark.parametrize(
    "body", [{"label": 7}, {"label": "x" * 101}, {"label": "two\nlines"}, {"key": "mine"}, {"label": None}]
)
async def test_a_bad_label_is_told_what_is_wrong(ann: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    answer = await ann.post("/api/keys", json=body)
    assert answer.status_code == 400
    assert answer.json()["validationErrors"][0].startswith(next(iter(body)))
    assert len((await ann.get("/api/keys")).json()) == 1


async def test_an_account_has_a_limited_number_of_keys(ann: httpx2.AsyncClient, accounts: Accounts) -> None:
    for _ in range(KEYS_LIMIT - 4):
        await accounts.keys.add("ann")
    answers = await asyncio.gather(*(ann.post("/api/keys") for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 400, 400, 400]
    assert len((await ann.get("/api/keys")).json()) == KEYS_LIMIT
    refused = (await ann.post("/api/keys")).json()["error"]
    assert refused == f"an account has at most {KEYS_LIMIT} API keys; revoke one first"
    one = next(key["id"] for key in (await ann.get("/api/keys")).json() if not key["current"])
    assert (await ann.delete(f"/api/keys/{one}")).status_code == 200
    assert (await ann.post("/api/keys")).status_code == 200  # what was refused takes no place
    await accounts.keys.add("ann")  # the operator may


async def test_who_revokes_a_key_of_the_accounts_file_hears_that_it_comes_back(relay: harness.Relay) -> None:
    keys = (await relay.rest("GET", "/api/keys")).json()
    assert {key["source"] for key in keys} == {"file"}
    [other] = [key["id"] for key in keys if not key["current"]]
    async with relay.listen(key=f"second-{harness.KEY}") as socket:
        revoked = await relay.rest("DELETE", f"/api/keys/{other}")
        assert "accounts file" in revoked.json()["message"]
        assert (await socket.closed())[0] == 4401


async def test_a_key_of_one_account_says_nothing_of_the_other(
    ann: httpx2.AsyncClient, bob: httpx2.AsyncClient
) -> None:
    shown = (await ann.get("/api/keys")).text + (await bob.get("/api/keys")).text
    assert ANN_KEY not in shown
    assert BOB_KEY not in shown
