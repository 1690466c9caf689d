"""Webhooks about mail that was sent (delivered, opened, bounced), pointed at an inbound path by mistake.

Their owner is told so, by the answer and in the log, with the status that this provider can do something with; and
however many come, they displace nothing of what is parked.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest
import structlog.testing

from relay.inbound.providers import PROVIDERS
from tests.harness import Relay

pytestmark = pytest.mark.anyio

Headers = dict[str, str]
SECRET = "secret-of-all"
URL = "https://relay.example.com"
# Nobody else posts about mail that was sent: these only receive.
INBOUND_ONLY = {"raw", "mailsac", "improvmx"}


def by_token(_path: str, _body: bytes) -> Headers:
    return {"authorization": f"Bearer {SECRET}"}


def by_standard_signature(_path: str, body: bytes) -> Headers:
    now = str(int(datetime.now(UTC).timestamp()))
    digest = base64.b64encode(hmac.digest(SECRET.encode(), f"id.{now}.".encode() + body, "sha256"))
    return {"webhook-id": "id", "webhook-timestamp": now, "webhook-signature": f"v1,{digest.decode()}"}


def by_signature_of_the_body(_path: str, body: bytes) -> Headers:
    return {"signature": hmac.digest(SECRET.encode(), body, "sha256").hex()}


def mandrill(event: object) -> tuple[Headers, bytes]:
    text = json.dumps([event])
    digest = hmac.digest(SECRET.encode(), f"{URL}/inbound/mandrillmandrill_events{text}".encode(), "sha1")
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-mandrill-signature": base64.b64encode(digest).decode(),
    }
    return headers, f"mandrill_events={quote_plus(text)}".encode()


def mailgun(event: dict[str, Any]) -> tuple[Headers, bytes]:
    now = str(int(datetime.now(UTC).timestamp()))
    token = "a" * 50
    signed = hmac.digest(SECRET.encode(), f"{now}{token}".encode(), "sha256").hex()
    whole = {"signature": {"timestamp": now, "token": token, "signature": signed}, "event-data": event}
    return {"content-type": "application/json"}, json.dumps(whole).encode()


Proof = Callable[[str, bytes], Headers]
# What each posts about a mail that was sent, as its documentation has it, cut down; and the sentence that says so.
EVENTS: dict[str, tuple[Proof | None, Any, str]] = {
    "ahasend": (
        by_standard_signature,
        {"type": "message.opened", "webhook_id": "w", "data": {"recipient": "ann@x.test"}},
        "this is message.opened, not message.routing: point an inbound route here",
    ),
    "brevo": (
        by_token,
        {"event": "delivered", "email": "ann@x.test"},
        "there are no items: this is an event of Brevo's other webhooks",
    ),
    "cloudmailin": (
        by_token,
        {"events": [{"kind": "delivery", "recipient": "ann@x.test", "message_id": "b47c8008"}]},
        "this is CloudMailin's webhook of events of sent mail",
    ),
    "forwardemail": (
        by_token,
        {"email_id": "e", "recipient": "ann@x.test", "bounce": {"action": "reject", "category": "block"}},
        "this is Forward Email's bounce webhook",
    ),
    "mailersend": (
        by_signature_of_the_body,
        {"type": "activity.delivered", "data": {"email": {"status": "delivered"}}},
        "this is activity.delivered, an event of MailerSend's activity webhook: point an inbound route here",
    ),
    "mailgun": (None, {"event": "delivered", "recipient": "ann@x.test"}, "this is a delivery event of Mailgun"),
    "mailjet": (by_token, [{"event": "sent", "email": "ann@x.test"}], "this is an event of Mailjet's Event API"),
    "mandrill": (None, {"event": "open", "msg": {"email": "ann@x.test"}}, "this is an event of Mandrill (open)"),
    "postal": (
        by_token,
        {"event": "MessageSent", "payload": {"status": "Sent", "message": {}}},
        "this is a delivery event of Postal",
    ),
    "postmark": (
        by_token,
        {"RecordType": "Delivery", "Recipient": "ann@x.test"},
        "this is a delivery event of Postmark",
    ),
    "resend": (
        by_standard_signature,
        {"type": "email.delivered", "data": {"email_id": "e", "to": ["ann@x.test"]}},
        "this is email.delivered: subscribe this URL to email.received only",
    ),
    "sendgrid": (by_token, [{"event": "open", "email": "ann@x.test"}], "this is SendGrid's event webhook"),
    "ses": (
        by_token,
        {"notificationType": "Bounce", "bounce": {"bounceType": "Permanent"}, "mail": {}},
        "this is not a mail but another event of Amazon",
    ),
    "sparkpost": (
        by_token,
        [{"msys": {"message_event": {"type": "delivery", "rcpt_to": "ann@x.test"}}}],
        "this is an event of SparkPost (message_event)",
    ),
}


def posted(name: str, number: int) -> tuple[Headers, bytes]:
    """The event, another for each number."""
    proof, event, _ = EVENTS[name]
    one = {**(event[0] if isinstance(event, list) else event), "number": number}
    if proof is None:
        return (mailgun if name == "mailgun" else mandrill)(one)
    body = json.dumps([one] if isinstance(event, list) else one).encode()
    return {"content-type": "application/json", **proof(f"/inbound/{name}", body)}, body


def test_every_provider_that_has_such_webhooks_is_here() -> None:
    assert EVENTS.keys() == PROVIDERS.keys() - INBOUND_ONLY


@pytest.mark.settings(
    public_url=URL, brevo_api_key="key", resend_api_key="key", **{f"{name}_secret": SECRET for name in EVENTS}
)
async def test_its_owner_is_told_and_what_is_parked_stays(relay: Relay) -> None:
    for name, (_, _, sentence) in EVENTS.items():
        with structlog.testing.capture_logs() as log:
            answers = []
            for number in range(2):
                headers, body = posted(name, number)
                answers.append(await relay.http.post(f"/inbound/{name}", content=body, headers=headers))
        status = PROVIDERS[name](()).answers.unreadable
        assert [answer.status_code for answer in answers] == [status] * 2, name
        lines = [line for line in log if line["event"] in ("inbound.parked", "inbound.refused")]
        assert [sentence in line.get("reason", line.get("error", "")) for line in lines] == [True, True], name
        assert all(sentence in answer.text for answer in answers), name
        if status == 200:
            assert len({answer.json()["parked"][0]["id"] for answer in answers}) == 1, name
