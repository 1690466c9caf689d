"""Nothing is parsed before it is proven, and what cannot be proven is not read."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from relay.builders.ses import TOPIC
from tests import harness
from tests.harness import Relay
from tests.inbound.wire import Wire, wire
from tests.strangers.service import served

pytestmark = pytest.mark.anyio

SECRET = "a-secret-of-these-tests"
MEGABYTE = 1_000_000
SECRETS: dict[str, Any] = {
    "ahasend_secret": SECRET,
    "forwardemail_secret": SECRET,
    "mailersend_secret": SECRET,
    "mailgun_secret": SECRET,
    "mandrill_secret": SECRET,
    "resend_secret": SECRET,
    "resend_api_key": "re_test",
    "sendgrid_secret": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE" + "A" * 88,
    "ses_secret": TOPIC,
}


@pytest.fixture(scope="module")
async def relay(tmp_path_factory: pytest.TempPathFactory, anyio_backend: Any) -> AsyncIterator[Relay]:
    async with harness.relay("memory://", tmp_path_factory.mktemp("proof"), **SECRETS) as running:
        yield running


def ask(one: Wire, provider: str, size: int, *headers: str) -> None:
    """Sends the head of a post, which waits to be told to go on."""
    lines = (f"POST /inbound/{provider} HTTP/1.1", "Host: relay.test", "Expect: 100-continue", *headers)
    one.writer.write("\r\n".join((*lines, f"Content-Length: {size}", "", "")).encode())


JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
NOW = int(time.time())
STANDARD = (
    "Webhook-Id: 1",
    f"Webhook-Timestamp: {NOW}",
    "Webhook-Signature: v1," + base64.b64encode(b"x" * 32).decode(),
)
SHA1 = base64.b64encode(b"x" * 20).decode()
# Who lacks a part of the proof is refused by the head; beside it the head with all its parts, which is told to go on.
HEADS = {
    "raw without a time": ("raw", 401, (STANDARD[0], STANDARD[2])),
    "raw with an old time": ("raw", 401, (STANDARD[0], "Webhook-Timestamp: 1000", STANDARD[2])),
    "raw with half a signature": ("raw", 401, (*STANDARD[:2], "Webhook-Signature: v1")),
    "raw": ("raw", 100, STANDARD),
    "ahasend without a signature": ("ahasend", 401, (JSON,)),
    "ahasend": ("ahasend", 100, (JSON, *STANDARD)),
    "resend without a signature": ("resend", 401, (JSON,)),
    "resend": ("resend", 100, (JSON, *STANDARD)),
    "mailersend without a signature": ("mailersend", 503, (JSON,)),
    "mailersend with a short one": ("mailersend", 503, (JSON, "Signature: abc")),
    "mailersend": ("mailersend", 100, (JSON, f"Signature: {'0' * 64}")),
    "forwardemail with a short signature": ("forwardemail", 408, (JSON, "X-Webhook-Signature: abc")),
    "forwardemail": ("forwardemail", 100, (JSON, f"X-Webhook-Signature: {'0' * 64}")),
    "mandrill without a signature": ("mandrill", 401, (FORM,)),
    "mandrill without a form": ("mandrill", 401, (JSON, f"X-Mandrill-Signature: {SHA1}")),
    "mandrill": ("mandrill", 100, (FORM, f"X-Mandrill-Signature: {SHA1}")),
    "sendgrid without a time": ("sendgrid", 503, ("X-Twilio-Email-Event-Webhook-Signature: x",)),
    "mailgun without a form": ("mailgun", 401, ("Content-Type: message/rfc822",)),
    "mailgun": ("mailgun", 100, (FORM,)),
}


@pytest.mark.parametrize("case", HEADS)
async def test_a_head_without_a_part_of_the_proof_is_answered_before_its_body(relay: Relay, case: str) -> None:
    provider, status, headers = HEADS[case]
    async with wire(relay) as one:
        ask(one, provider, MEGABYTE, *headers)
        assert (await one.answer()).status == status


@pytest.mark.parametrize(
    ("provider", "fits", "kind"), [("mailgun", 65_536, JSON), ("ses", 1_048_576, "Content-Type: text/plain")]
)
async def test_what_has_to_be_parsed_to_be_proven_is_short(
    relay: Relay, provider: str, fits: int, kind: str
) -> None:
    for size, status in ((fits, 100), (fits + 1, 401)):
        async with wire(relay) as one:
            ask(one, provider, size, kind)
            assert (await one.answer()).status == status


async def test_an_undeclared_length_is_measured(relay: Relay) -> None:
    async with wire(relay) as one:
        lines = ("POST /inbound/mailgun HTTP/1.1", "Host: relay.test", JSON, "Transfer-Encoding: chunked", "", "")
        one.writer.write("\r\n".join(lines).encode())
        one.chunk(b"[" * 65_537)
        assert (await one.answer()).status == 401


def peak_bytes(pid: int) -> int:
    """Of the memory that a process ever had, of Linux."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks /proc")
async def test_bodies_that_nobody_proves_take_their_size_and_no_more(empty_redis_url: str, tmp_path: Path) -> None:
    """24 MB of JSON took 840 MB, 190 MB of a form 1,033 MB."""
    settings = {"RELAY_MAILGUN_SECRET": SECRET, "RELAY_SES_SECRET": TOPIC, "RELAY_MANDRILL_SECRET": SECRET}
    with served(empty_redis_url, tmp_path, **settings) as service:
        async with httpx2.AsyncClient(base_url=service.url, verify=False, timeout=30) as http:

            async def grows(provider: str, body: bytes, headers: dict[str, str]) -> int:
                before = peak_bytes(service.pid)

                async def chunks() -> AsyncIterator[bytes]:
                    for start in range(0, len(body), 65_536):
                        yield body[start : start + 65_536]

                answer = await http.post(f"/inbound/{provider}", content=chunks(), headers=headers)
                assert answer.status_code == 401
                return peak_bytes(service.pid) - before

            wide = b'{"signature":[' + b"{}," * 300_000 + b"{}]}"  # parsed, it takes 20 times as much
            json = {"content-type": "application/json"}
            form = {"content-type": "application/x-www-form-urlencoded"}
            assert await grows("ses", wide, json) < 10 * MEGABYTE
            large = b"mandrill_events=" + b"%5B%22a" * 6_000_000  # 42 MB
            assert await grows("mandrill", large, form | {"x-mandrill-signature": SHA1}) < 3 * len(large)
            assert await grows("mailgun", large.replace(b"mandrill_events", b"body-mime"), form) < 2 * len(large)
