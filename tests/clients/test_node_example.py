"""The page's Node example, with the ``ws`` of its package.json and with today's.

``node/example.js`` is the page's code to the letter, with what the page lost: closing brackets, and the line that
handles a message, of which the page says "it will be parsed into JSON and logged to the console", and shows it
indented by two. In the copy that is run, one thing is replaced: the string of BASE_URL.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import NODE_FOLDER
from tests.clients.node_program import NodeProgram, running
from tests.harness import ACCOUNT, ADDRESS, KEY, MAIL, Relay

pytestmark = pytest.mark.anyio

PAGES_BASE_URL = "'wss://sock.mailsac.com/incoming-messages'"
SECOND_ADDRESS = "second@mailsac.com"
LARGE = "Subject: =?utf-8?q?gro=C3=9F?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + "ß €\r\n" * 50_000

# The keys of the page's example message.
PAGES_KEYS = {
    *("_id", "to", "from", "subject", "inbox", "originalInbox", "domain", "received", "raw", "size"),
    *("rtls", "ip", "spam", "headers", "text", "html", "via"),
}

Example = Callable[..., AbstractAsyncContextManager[NodeProgram]]


@pytest.fixture(params=["ws", "ws2"])
def example(request: pytest.FixtureRequest, relay: Relay, node_folder: Path, tmp_path: Path) -> Example:
    """Starts the example against the relay; ``ws2`` is what the page's package.json asks for."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "ws").symlink_to(node_folder / "node_modules" / request.param)
    code = (node_folder / "example.js").read_text()
    assert code.count(PAGES_BASE_URL) == 1
    script = tmp_path / "example.js"
    script.write_text(code.replace(PAGES_BASE_URL, f"'ws://127.0.0.1:{relay.port}/incoming-messages'"))

    def start(key: str = KEY, addresses: str = ADDRESS) -> AbstractAsyncContextManager[NodeProgram]:
        return running(script, MAILSAC_USER=ACCOUNT, MAILSAC_KEY=key, ADDRESSES=addresses)

    return start


async def opened(program: NodeProgram) -> str:
    """Reads the example's two first lines; returns the URL that the first one names."""
    attempt = await program.line()
    assert attempt.startswith("attempting to open WebSocket to ws://")
    assert await program.line() == "WebSocket opened"
    return attempt.rpartition(" ")[2]


async def logged(program: NodeProgram) -> dict[str, Any]:
    """The next message on the console."""
    lines = [await program.line()]
    while lines[-1] != "}":
        lines.append(await program.line())
    message: dict[str, Any] = json.loads("\n".join(lines))
    return message


async def test_it_prints_each_mail(relay: Relay, example: Example) -> None:
    async with example(addresses=f"{ADDRESS},{SECOND_ADDRESS}") as program, relay.listen(ADDRESS) as ours:
        url = await opened(program)
        assert url.partition("?")[2] == f"_id={ACCOUNT}&key={KEY}&addresses={ADDRESS},{SECOND_ADDRESS}"
        await relay.post(MAIL, ADDRESS)
        message = await logged(program)
        assert message == await ours.message()
        assert message.keys() >= PAGES_KEYS
        assert (message["inbox"], message["subject"], message["text"]) == (ADDRESS, "Hello", "Hello, world.\n")
        assert message["raw"].encode() == MAIL
        second_id = await relay.send("to the second", SECOND_ADDRESS)
        message = await logged(program)
        assert (message["_id"], message["inbox"]) == (second_id, SECOND_ADDRESS)


async def test_a_large_mail_beyond_ascii_arrives_whole(relay: Relay, example: Example) -> None:
    async with example() as program:
        await opened(program)
        await relay.post(LARGE.encode(), ADDRESS)
        message = await logged(program)
        await relay.send("and the next")
        assert (await logged(program))["subject"] == "and the next"
    assert (message["subject"], message["raw"]) == ("groß", LARGE)


async def test_a_wrong_key_is_told_on_its_console(example: Example) -> None:
    async with example(key="wrong") as program:
        await opened(program)
        frame = await logged(program)
        assert frame["status"] == 401
        assert "key" in frame["error"]
        assert await program.ended() == (0, "")


def test_the_lock_has_exact_versions_and_no_registry() -> None:
    asked = json.loads((NODE_FOLDER / "package.json").read_text())["dependencies"]
    packages = json.loads((NODE_FOLDER / "package-lock.json").read_text())["packages"]
    assert packages.pop("")["dependencies"] == asked
    for name, wanted in asked.items():
        assert wanted.rpartition("@")[2] == packages[f"node_modules/{name}"]["version"]
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        package.pop("funding", None)  # where the author takes donations
    assert "://" not in json.dumps(packages)
