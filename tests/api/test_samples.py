"""A sample mail to an address of one's own: by the way of all mail, and to nobody else's."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any

import httpx2
import pytest

from relay.api.samples import MAX_PER_MINUTE
from tests.harness import ADDRESS, DOMAIN, OTHER_ADDRESS, QUIET_ADDRESS, Relay

pytestmark = pytest.mark.anyio

_STRANGE = ('"a \\" b"@example.com', "o'brien+tag/1@example.com", "grüße@example.com")


async def _send(relay: Relay, address: str = ADDRESS, **more: Any) -> httpx2.Response:
    return await relay.rest("POST", f"/api/addresses/{address}/sample", **more)


async def test_a_sample_arrives_whole(relay: Relay) -> None:
    async with relay.listen(ADDRESS) as socket:
        answer = await _send(relay)
        message = await socket.message()
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"accepted": [{"inbox": ADDRESS, "_id": message["_id"]}], "rejected": []}
    [code] = re.findall(r"\d{6}", message["subject"])
    assert code in message["text"]
    assert code in message["html"]
    assert len(message["attachments"]) == 2
    assert message["links"]
    mail = email.message_from_string(message["raw"], EmailMessage, policy=email.policy.default)
    assert (mail["to"], mail["subject"], mail.defects) == (ADDRESS, message["subject"], [])
    [picture] = [part for part in mail.walk() if part.get_content_maintype() == "image"]
    assert f'src="cid:{picture["content-id"][1:-1]}"' in message["html"]
    assert [part.get_filename() for part in mail.iter_attachments()] == ["order.csv"]


async def test_two_samples_are_two_mails_and_counted(relay: Relay) -> None:
    ids = {(await _send(relay)).json()["accepted"][0]["_id"] for _ in range(2)}
    assert len(ids) == 2
    metrics = (await relay.internal.get("/metrics")).text
    assert 'relay_recipients_total{outcome="accepted",provider="sample"} 2.0' in metrics


@pytest.mark.parametrize("address", [f"anything@{DOMAIN}", *_STRANGE])
async def test_any_address_of_an_own_domain_gets_it(relay: Relay, address: str) -> None:
    async with relay.listen(DOMAIN) as socket:
        answer = await _send(relay, address.replace("/", "%2F"))
        message = await socket.message()
    assert answer.json()["rejected"] == []
    assert message["inbox"] == address
    assert message["raw"].startswith(f"To: {address}\r\n")


async def test_forwarding_that_is_off_is_said(relay: Relay) -> None:
    answer = await _send(relay, QUIET_ADDRESS)
    assert answer.status_code == 200
    assert answer.json() == {"accepted": [], "rejected": [{"inbox": QUIET_ADDRESS, "reason": "forwarding off"}]}


async def test_what_is_not_the_accounts_own_is_told_apart_by_nothing(relay: Relay) -> None:
    for address in (OTHER_ADDRESS, "free@mailsac.com", "x@elsewhere.test"):
        answer = await _send(relay, address)
        text = f"{address} is not an address of this account; reserve it first"
        assert (answer.status_code, answer.json()["error"]) == (401, text)


async def test_bad_calls(relay: Relay) -> None:
    assert (await _send(relay, key="wrong")).status_code == 401
    assert (await _send(relay, "no-address")).status_code == 400
    assert (await _send(relay, content=b'{"subject": "mine"}')).status_code == 400
    assert (await relay.rest("GET", f"/api/addresses/{ADDRESS}/sample")).status_code == 405


async def test_samples_are_rationed_by_account(relay: Relay) -> None:
    answers = [await _send(relay) for _ in range(MAX_PER_MINUTE + 1)]
    assert [answer.status_code for answer in answers] == [200] * MAX_PER_MINUTE + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    other = await _send(relay, OTHER_ADDRESS, key="key-of-user2")
    assert other.status_code == 200
