"""Mail that somebody posts where no provider is taken: never lost in silence."""

from __future__ import annotations

import pytest
import structlog.testing

from relay.inbound.providers import PROVIDERS
from tests.activity.events import of_all
from tests.harness import KEY, MAIL, SECRET, Relay

pytestmark = pytest.mark.anyio

UNSET = sorted(set(PROVIDERS) - {"raw", "mailsac"})


async def test_a_provider_without_its_secret_is_told_what_to_set(relay: Relay) -> None:
    for name in UNSET:
        answer = await relay.http.post(f"/inbound/{name}?token=a-token", content=MAIL)
        assert answer.status_code == 404
        assert f"set RELAY_{name.upper()}_SECRET" in answer.json()["error"]
    brevo = (await relay.http.post("/inbound/brevo/", content=MAIL)).json()["error"]
    assert brevo.endswith("set RELAY_BREVO_SECRET and RELAY_BREVO_API_KEY")
    assert (await relay.http.head("/inbound/postmark")).status_code == 404


async def test_the_operator_sees_it_in_log_and_activity(relay: Relay) -> None:
    secret = "0123456789abcdef0123456789abcdef0123456789abcdef"
    with structlog.testing.capture_logs() as lines:
        await relay.http.post("/inbound/postmark?token=a-token", content=MAIL)
        for path in ("postmrak", secret, f"raw/{secret}", ""):
            answer = await relay.http.post(f"/inbound/{path}", content=MAIL)
            assert (answer.status_code, "relay providers" in answer.json()["message"]) == (404, True)
    logged = [(line["provider"], line["status"]) for line in lines if line["event"] == "inbound.refused"]
    assert logged == [("postmark", 404), ("postmrak", 404), *[("…", 404)] * 3]
    seen = await of_all(relay, *["refused"] * 5)
    assert [(event["provider"], event["client"]) for event in seen[:2]] == [
        ("postmark", "127.0.0.1"),
        ("postmrak", "127.0.0.1"),
    ]
    assert "RELAY_POSTMARK_SECRET" in seen[0]["text"]
    assert not any(secret in str(told) or "a-token" in str(told) for told in (seen, lines))
    assert (
        'relay_inbound_total{provider="postmark",status="404"} 1.0' in (await relay.internal.get("/metrics")).text
    )


async def test_names_that_nobody_has_are_not_endlessly_many_events(relay: Relay) -> None:
    for number in range(80):
        await relay.http.post(f"/inbound/guess-{number}", content=b"")
    seen = await of_all(relay, *["refused"] * 60)
    assert [bool(event.get("cut")) for event in seen] == [False] * 59 + [True]


async def test_a_slash_at_the_end_loses_no_mail(relay: Relay) -> None:
    headers = {"authorization": f"Bearer {SECRET}", "x-envelope-to": "user1@mailsac.com"}
    answer = await relay.http.post("/inbound/raw/", content=MAIL, headers=headers)
    assert (answer.status_code, len(answer.json()["accepted"])) == (200, 1)
    assert (await relay.http.post("/inbound/raw//?token=wrong", content=MAIL)).status_code == 401
    assert (await relay.http.head("/inbound/raw/")).status_code == 200
    kept = await relay.rest("GET", "/api/addresses/user1@mailsac.com/messages", key=KEY)
    assert len(kept.json()) == 1


async def test_another_method_is_told_which_it_is(relay: Relay) -> None:
    for path in ("/inbound/raw", "/inbound/raw/"):
        answer = await relay.http.get(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST, HEAD")
