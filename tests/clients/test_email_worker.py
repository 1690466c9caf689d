"""The Cloudflare Email Worker of docs/providers/cloudflare, as it is, under Node, against a relay."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import NODE_FOLDER
from tests.clients.node_program import NodeProgram, running
from tests.harness import ADDRESS, MAIL, QUIET_ADDRESS, SECRET, Relay

pytestmark = pytest.mark.anyio

WORKER = Path(__file__).parents[2] / "docs" / "providers" / "cloudflare" / "worker.js"
EIGHT_BIT = b"From: a@b.test\r\nSubject: bytes\r\n\r\n" + bytes(range(1, 256))


@dataclass
class Mx:
    """Cloudflare's side: takes a mail by SMTP, runs the worker, and answers the sending server."""

    program: NodeProgram

    async def __call__(self, raw: bytes, to: str = ADDRESS, *, sender: str = "ann@sender.test", **way: Any) -> Any:
        line = {"from": sender, "to": to, "raw": base64.b64encode(raw).decode(), **way}
        await self.program.write(json.dumps(line))
        return json.loads(await self.program.line())


@asynccontextmanager
async def worker(
    relay: Relay, folder: Path, *, secret: str = SECRET, path: str = "/inbound/raw"
) -> AsyncIterator[Mx]:
    script = folder / "worker.mjs"  # a Worker is an ES module whatever its name says
    shutil.copy(WORKER, script)
    program = folder / "program.mjs"
    program.write_text((NODE_FOLDER / "email_worker.mjs").read_text().replace("process.argv[2]", f"'{script}'"))
    environment = {"RELAY_URL": relay.url + path, "RELAY_SECRET": secret, "RELAY_RETRY_SECONDS": "0"}
    async with running(program, **environment) as started:
        yield Mx(started)


@pytest.fixture
async def mx(relay: Relay, tmp_path: Path) -> AsyncIterator[Mx]:
    async with worker(relay, tmp_path) as started:
        yield started


async def test_a_mail_arrives_byte_for_byte(relay: Relay, mx: Mx) -> None:
    async with relay.listen() as socket:
        for raw in (MAIL, EIGHT_BIT, b"Subject: large\r\n\r\n" + b"line\r\n" * 50_000):
            assert await mx(raw) == {"outcome": "accepted", "reason": "", "tries": 1}
            message = await socket.message()
            assert message["raw"].encode(message.get("rawEncoding", "utf-8")) == raw
            assert message["inbox"] == ADDRESS


async def test_a_bounce_has_no_envelope_sender(mx: Mx) -> None:
    assert (await mx(MAIL, sender=""))["outcome"] == "accepted"


async def test_addresses_beyond_ascii_survive_their_headers(relay: Relay, mx: Mx) -> None:
    inbox = "jörg@example.com"
    async with relay.listen("example.com") as socket:
        assert (await mx(MAIL, inbox, sender="пётр@sender.test"))["outcome"] == "accepted"
        assert (await socket.message())["inbox"] == inbox


async def test_a_mail_whose_answer_was_lost_is_one_event(relay: Relay, mx: Mx) -> None:
    async with relay.listen() as socket:
        assert await mx(MAIL, lose=2) == {"outcome": "accepted", "reason": "", "tries": 3}
        assert (await mx(MAIL, answers=[503, 502]))["tries"] == 3
        await relay.send("after it")
        assert [await socket.subject() for _ in range(2)] == ["Hello", "after it"]


async def test_a_mail_that_the_sending_server_brings_again_is_one_event(relay: Relay, mx: Mx) -> None:
    """Cloudflare puts a Received field in front, with another time each time."""
    async with relay.listen() as socket:
        assert (await mx(MAIL, answers=[503, 503, 503]))["outcome"] == "failed"
        for minute in (1, 2):
            assert (await mx(b"Received: by mx; 12:%02d\r\n" % minute + MAIL))["outcome"] == "accepted"
        for other in (MAIL.replace(b"world", b"again"), MAIL.replace(b"Hello", b"Other", 1)):
            await mx(other)
        subjects = [await socket.subject() for _ in range(3)]
    assert subjects == ["Hello", "Hello", "Other"]


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("nobody@mailsac.com", "There is no mailbox nobody@mailsac.com here"),
        (QUIET_ADDRESS, f"The mailbox {QUIET_ADDRESS} does not take mail at present"),
        ("a..b@mailsac.com", "a..b@mailsac.com is not a mail address"),
    ],
)
async def test_what_nobody_may_have_bounces_in_plain_words(mx: Mx, to: str, reason: str) -> None:
    assert await mx(MAIL, to) == {"outcome": "rejected", "reason": reason, "tries": 1}


async def test_what_is_no_mail_bounces(mx: Mx) -> None:
    answer = await mx(b"\r\nno header\r\n")
    assert (answer["outcome"], answer["reason"]) == (
        "rejected",
        f"The mail for {ADDRESS} cannot be read as a mail",
    )


@pytest.mark.settings(max_message_bytes=1024)
async def test_what_is_too_large_bounces(mx: Mx) -> None:
    answer = await mx(MAIL + b"x" * 2000)
    assert (answer["outcome"], answer["reason"]) == ("rejected", f"The mail is too large for {ADDRESS}")


async def test_our_own_trouble_is_temporary_for_the_sending_server(relay: Relay, mx: Mx, tmp_path: Path) -> None:
    for status in (503, 500, 429):
        answer = await mx(MAIL, answers=[status] * 3)
        assert (answer["outcome"], answer["tries"]) == ("failed", 3), status
    for wrong in ({"secret": "wrong"}, {"path": "/inbound/nowhere"}, {"path": "/livez"}):
        async with worker(relay, tmp_path, **wrong) as started:
            answer = await started(MAIL)
            assert (answer["outcome"], answer["tries"]) == ("failed", 1), wrong
            assert SECRET not in answer["reason"]
