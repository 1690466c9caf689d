"""The examples of the reference as they run: each curl line by curl itself, against a relay with some mail in it.

What differs from run to run (ids, times, keys) is replaced by stand-ins, so that the answers of two runs are equal.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from relay.reference.providers import MAIL_FILE, SECRET
from relay.reference.vocabulary import HOST, KEY, Example, Noun, Operation
from tests import harness
from tests.accounts.dns_server import DnsServer
from tests.harness import ADDRESS, Relay

MAIL = b"""From: "The shop" <orders@shop.example>\r
To: user1@mailsac.com\r
Subject: Your order 4711\r
Message-ID: <4711@shop.example>\r
Date: Sat, 21 Nov 2026 12:00:00 +0000\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=frame\r
\r
--frame\r
Content-Type: multipart/alternative; boundary=words\r
\r
--words\r
Content-Type: text/plain\r
\r
Your code is 493817. Confirm: https://shop.example/confirm/4711\r
--words\r
Content-Type: text/html\r
\r
<p>Your code is <b>493817</b>. <a href="https://shop.example/confirm/4711">Confirm</a></p>\r
--words--\r
--frame\r
Content-Type: text/csv; name=items.csv\r
Content-Disposition: attachment; filename=items.csv\r
\r
item,amount\r
tea,2\r
--frame--\r
"""
SHORT_MAIL = b"From: ann@sender.test\r\nTo: user1@mailsac.com\r\nSubject: Hello\r\n\r\nHello, world.\r\n"

_SHOWN_CHARS = 1000
SECOND_KEY = "key-of-the-tests-3"  # its id is greater than the first one's: they are listed in this order, always
LOST_EPOCH = "000000"
_MESSAGE_ID = re.compile(r"\b[0-9a-f]{10}([0-9a-f]{6})-\d{13}-(\d+)\b")
_STANDS_FOR = (
    (
        _MESSAGE_ID,
        lambda found: f"5d6e3b2f0c{'2b71d0' if found[1] == LOST_EPOCH else '9a4718'}-1795262400000-{found[2]}",
    ),
    (re.compile(r"(?<![0-9a-f]-)\b\d{13}-\d+\b"), "1795262400000-0"),  # of an event
    (re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "2026-11-21T12:00:00.000Z"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "0f3c9a5b7e1d2846" * 2 + "5a6b7c8d"),
)


@dataclass
class Story:
    """A relay, and who asks it."""

    relay: Relay
    folder: Path
    message_ids: list[str] = field(default_factory=list)  # of ADDRESS, in order of arrival

    async def answers(self, noun: Noun) -> dict[str, dict[str, Any]]:
        """The answers of all examples of a noun, in its order; by operation and example."""
        told: dict[str, dict[str, Any]] = {}
        for operation in noun.operations:
            for example in operation.examples:
                told.setdefault(operation.id, {})[example.name] = await self.answer(operation, example)
        return told

    async def answer(self, operation: Operation, example: Example) -> dict[str, Any]:
        """What the curl line of an example gets."""
        status, headers, body = await self._curl(operation.curl(example))
        shown = {name.lower() for answer in operation.answers for name in answer.headers or {}}
        return {
            "status": status,
            "media_type": headers.get("content-type", "").partition(";")[0],
            "headers": {name: steady(value) for name, value in sorted(headers.items()) if name in shown},
            "body": steady(_read(headers.get("content-type", ""), body)),
        }

    async def _curl(self, line: str) -> tuple[int, dict[str, str], bytes]:
        port = self.relay.internal if re.search(rf"{HOST}/(livez|readyz|metrics)", line) else self.relay.http
        line = line.replace(HOST, str(port.base_url).rstrip("/"))
        line = line.replace(KEY, harness.KEY).replace(SECRET, harness.SECRET)
        line = _MESSAGE_ID.sub(lambda found: self._real_id(int(found[2])), line)
        program, *arguments = shlex.split(line.replace("\\\n", ""))  # as a shell joins lines
        process = await asyncio.create_subprocess_exec(
            program, "-q", "-sS", "--noproxy", "*", "--include", *arguments, cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        printed, _ = await process.communicate()
        assert process.returncode == 0, line
        head, _, body = printed.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        pairs = (one.partition(": ") for one in lines)
        return int(status.split()[1]), {name.lower(): value for name, _, value in pairs}, body

    def _real_id(self, number: int) -> str:
        """Of the mail of that number; with another number one that is not there."""
        known = self.message_ids[:number][-1]
        return f"{known.rpartition('-')[0]}-{number}"


@asynccontextmanager
async def story(folder: Path) -> AsyncIterator[Story]:
    """A relay in memory, with two mails for ADDRESS, and a socket that got them."""
    (folder / MAIL_FILE).write_bytes(MAIL)
    (folder / "accounts.toml").write_text(harness.ACCOUNTS_TOML.replace(f"second-{harness.KEY}", SECOND_KEY))
    async with DnsServer() as dns, harness.relay("memory://", folder, dns_servers=(dns.address,)) as relay:
        told = Story(relay, folder)
        async with relay.listen() as socket:
            for mail in (SHORT_MAIL, MAIL):
                answer = await relay.post(mail, ADDRESS)
                told.message_ids.append(answer.json()["accepted"][0]["_id"])
                await socket.message()
            await until_told(relay, 5)
            yield told


async def until_told(relay: Relay, events: int) -> None:
    """Recent Activity is written behind what happens."""
    path = f"/api/activity?limit={events}"
    known = (await relay.rest("GET", path)).json()
    while len(known["events"]) < events:
        more = await relay.rest("GET", f"{path}&wait=60&since={known['cursor']}")
        known = (await relay.rest("GET", path)).json() if more.json()["events"] else known


def steady(value: Any) -> Any:
    """The same with its stand-ins."""
    if isinstance(value, dict):
        return {name: steady(one) for name, one in (value | _stand_ins(value)).items()}
    if isinstance(value, list):
        return [steady(one) for one in value]
    if isinstance(value, str):
        for pattern, stand_in in _STANDS_FOR:
            value = pattern.sub(stand_in, value)
    return value


def _stand_ins(value: dict[str, Any]) -> dict[str, Any]:
    """Of members that no pattern tells."""
    if {"id", "key"} <= value.keys():  # a key that was just made
        return {"id": "4e1f0b7a92c6", "key": "the-new-key-is-shown-here-once"}
    if {"id", "process"} <= value.keys():  # an open socket
        return {"id": "7c2d9e10-63f1a20b4c8d0", "process": "7c2d9e10"}
    return {}


def _read(content_type: str, body: bytes) -> Any:
    """JSON, or text as far as it is shown; None when there is none."""
    if not body:
        return None
    if content_type.startswith("application/json"):
        return orjson.loads(body)
    text = body.decode("utf-8", "backslashreplace")
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
