"""Mail that just missed: the account that was meant is told, and nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.activity.near_misses import alike, nearest, plain_forms
from tests.activity.events import events, of_all, until
from tests.harness import ADDRESS, DOMAIN, MAIL, OTHER_KEY, Relay

PLAIN = f"ann.lee@{DOMAIN}"


@pytest.mark.anyio
async def test_on_a_shared_domain_the_plain_form_is_meant(relay: Relay) -> None:
    arrived = ["user1+shop@mailsac.com", "us.er1@mailsac.com", "u.ser1+a+b@mailsac.com"]
    for rejected in (await relay.post(MAIL, *map(str.title, arrived))).json()["rejected"]:
        assert rejected["reason"] == "not reserved"
    seen = await until(relay, *["near-miss"] * 3)
    assert [(event["inbox"], event["near"], event["from"]) for event in seen] == [
        (inbox, ADDRESS, "ann@sender.test") for inbox in arrived
    ]
    assert seen[0]["text"] == (
        f"{arrived[0]} arrived; you listen to {ADDRESS}:"
        f" reserve {arrived[0]} and listen to it, or have mail sent to {ADDRESS}."
    )
    assert await events(relay, key=OTHER_KEY) == []
    refused = [event for event in await of_all(relay, "refused", "near-miss") if event["kind"] == "refused"]
    assert not any("account" in event for event in refused)


@pytest.mark.anyio
async def test_on_an_own_domain_any_own_address_there_may_be_meant(relay: Relay) -> None:
    await relay.rest("POST", f"/api/addresses/{PLAIN}")
    meant = {f"annlee@{DOMAIN}": PLAIN, f"ann.lee+x@{DOMAIN}": PLAIN}
    await relay.send("another's, as a rule", f"{ADDRESS.partition('@')[0]}+x@{DOMAIN}")
    for inbox in meant:
        await relay.send("missed", inbox)
    seen = [event for event in await until(relay, *["near-miss"] * 2) if event["inbox"] in meant]
    assert [event["kind"] for event in seen[:2]] == ["unheard", "near-miss"]
    assert {event["inbox"]: event["near"] for event in seen if event["kind"] == "near-miss"} == meant


@pytest.mark.anyio
async def test_what_is_heard_or_meant_or_like_nothing_is_no_near_miss(relay: Relay) -> None:
    await relay.rest("POST", f"/api/addresses/{PLAIN}", json={"enablews": True})
    await relay.rest("PUT", f"/api/addresses/{PLAIN}", json={"enablews": True})
    async with relay.listen(DOMAIN) as socket:
        await relay.send("heard", f"ann.lee+x@{DOMAIN}")
        await socket.message()
    await relay.send("reserved", PLAIN)
    await relay.send("like nothing", f"bob@{DOMAIN}")
    await relay.post(MAIL, "unknown+tag@mailsac.com", "second+tag@other.test")
    seen = await of_all(relay, "received", *["unheard"] * 2, *["refused"] * 2)
    assert "near-miss" not in {event["kind"] for event in seen}


@given(st.text(max_size=40), st.text(max_size=20))
def test_plain_forms_are_few_and_of_the_same_domain(local: str, domain: str) -> None:
    forms = plain_forms(f"{local}@{domain}")
    assert len(forms) <= 3
    assert all(form.rpartition("@")[2] == domain.rpartition("@")[2] and form[0] != "@" for form in forms)


@given(st.text(max_size=40), st.lists(st.text(max_size=20)))
def test_the_nearest_is_another_one_of_them(inbox: str, addresses: list[str]) -> None:
    near = nearest(inbox, alike(addresses))
    assert near == "" or (near in addresses and near != inbox)
    assert near == "" or near.rpartition("@")[2] == inbox.rpartition("@")[2]
