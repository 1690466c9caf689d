"""REST of custom domains."""

from __future__ import annotations

import re

import httpx2
import pytest

from relay.accounts import Accounts
from relay.store import Store
from tests.accounts.control import listen
from tests.accounts.dns_server import DnsServer

pytestmark = pytest.mark.anyio

OWN = "/api/domains/own.example"


async def test_a_domain_from_the_first_call_to_the_last(ann: httpx2.AsyncClient, dns: DnsServer) -> None:
    added = await ann.post(OWN)
    assert added.status_code == 200
    shown = added.json()
    for name in ("created", "updated"):
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown[name])
    assert re.fullmatch(r"relay-verify=[0-9a-f]{40}", shown["verificationTxt"])
    expected = {
        "_id": "own.example",
        "owner": None,
        "verified": False,
        "lastVerificationErrors": "",
        "enablews": True,
    }
    assert shown.items() >= expected.items()
    failed = await ann.post(f"{OWN}/verify")
    assert failed.status_code == 200
    assert (failed.json()["verified"], failed.json()["lastVerificationErrors"]) == (
        False,
        "the DNS has no domain own.example (NXDOMAIN)",
    )
    dns.txt["own.example"] = [f'"{shown["verificationTxt"]}"']
    proven = (await ann.post(f"{OWN}/verify", json={})).json()
    assert (proven["verified"], proven["owner"], proven["lastVerificationErrors"]) == (True, "ann", "")
    assert (await ann.get("/api/domains")).json() == [proven]
    assert (await ann.get(OWN)).json() == {"domain": proven}
    assert (await ann.post("/api/addresses/any@own.example")).status_code == 200
    assert (await ann.delete(OWN)).status_code == 400  # an address is reserved on it
    assert (await ann.delete("/api/addresses/any@own.example")).status_code == 200
    removed = await ann.delete(OWN)
    assert (removed.status_code, removed.json()["_id"]) == (200, "own.example")
    assert (await ann.get("/api/domains")).json() == []


async def test_what_is_not_ones_own(ann: httpx2.AsyncClient, bob: httpx2.AsyncClient, accounts: Accounts) -> None:
    await accounts.domains.declare("ann", "own.example")
    refused = await bob.post(OWN)
    assert (refused.status_code, refused.json()["error"]) == (401, "own.example belongs to another account")
    for method, path in (("GET", OWN), ("DELETE", OWN), ("POST", f"{OWN}/verify")):
        assert (await bob.request(method, path)).status_code == 404
    assert (await bob.get("/api/domains")).json() == []
    assert (await ann.get(OWN)).json()["domain"]["verified"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("mailsac.com", "mailsac.com is shared by all accounts"),
        ("-.example", "is not a domain"),
        ("a@b.example", "is not a domain"),
        ("a%00.example", "is not a domain"),
        ("%20", "is not a domain"),
        ("x" * 64 + ".example", "is not a domain"),
    ],
)
async def test_what_cannot_be_added(ann: httpx2.AsyncClient, path: str, text: str) -> None:
    answer = await ann.post(f"/api/domains/{path}")
    assert answer.status_code == 400
    assert text in answer.json()["error"]


async def test_members_that_nobody_reads_are_refused(ann: httpx2.AsyncClient) -> None:
    answer = await ann.post(OWN, json={"verified": True})
    assert (answer.status_code, answer.json()["validationErrors"]) == (400, ["verified: is not known here"])
    assert (await ann.post(OWN)).status_code == 200
    assert (await ann.post(OWN)).status_code == 400


async def test_names_are_canonical(ann: httpx2.AsyncClient) -> None:
    assert (await ann.post("/api/domains/B%C3%BCcher.Example.")).json()["_id"] == "xn--bcher-kva.example"
    assert (await ann.get("/api/domains/xn--bcher-kva.example")).status_code == 200


async def test_a_removal_is_told_to_every_process(
    ann: httpx2.AsyncClient, accounts: Accounts, store: Store
) -> None:
    await accounts.domains.declare("ann", "own.example")
    async with listen(store) as control:
        await ann.delete(OWN)
        assert [str(notice and notice.name) for notice in await control.heard()] == ["own.example"]
