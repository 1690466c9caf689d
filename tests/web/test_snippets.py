"""The code that the test page offers, run as it stands there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests import tools
from tests.harness import ADDRESS, KEY, Relay
from tests.node_packages import node
from tests.web.conftest import visit

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running(*command: str, folder: Path) -> AsyncIterator[Process]:
    """A program that is killed in the end; it knows no key but that in its code."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAILSAC_")}
    more = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "no_proxy": "*", "PATH": f"{folder}:{kept['PATH']}"}
    program = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, cwd=folder, env=kept | more
    )
    try:
        yield program
    finally:
        if program.returncode is None:
            program.kill()
        await program.communicate()


async def line(program: Process) -> str:
    assert program.stdout is not None
    return (await program.stdout.readline()).decode().rstrip("\n")


async def offered(page: Page, name: str) -> str:
    """The code in a language, with the key filled in."""
    await page.get_by_role("tab", name=name, exact=True).click()
    return await page.locator("#snippets code").inner_text()


async def test_the_code_runs_as_it_stands(
    relay: Relay, browser: Browser, node_folder: Path, tmp_path: Path
) -> None:
    tools.CURL.need()
    async with visit(browser, relay.url) as visitor:
        page = visitor.page
        await page.get_by_label("Paste your API key").fill(KEY)
        await page.get_by_role("checkbox", name="second@mailsac.com").uncheck()
        await page.get_by_role("checkbox", name="Fill in my key").check()
        codes = {name: await offered(page, name) for name in ("JavaScript", "Node", "Python", "Shell")}
        await page.evaluate(f"{codes['JavaScript']}\nnew Promise((opened) => {{ socket.onopen = opened; }})")
        (tmp_path / "node_modules").symlink_to(node_folder / "node_modules")
        (tmp_path / "listen.mjs").write_text(codes["Node"])
        (tmp_path / "listen.py").write_text(codes["Python"])
        async with (
            running(node().program, "listen.mjs", folder=tmp_path) as listening,
            running(sys.executable, "listen.py", folder=tmp_path) as python,
        ):
            assert await line(listening) == "listening"
            while "listener.json" not in os.listdir(tmp_path):  # it is written when the service has confirmed
                await relay.ready()
            async with page.expect_console_message() as logged:
                await send_by_shell(codes["Shell"], tmp_path)
            subject = (await line(listening)).removeprefix(f"{ADDRESS}: ")
            assert subject.startswith("Sample: ")
            assert (await logged.value).text == f"{ADDRESS} {subject}"
            assert await line(python) == f"{ADDRESS} {subject}"


async def send_by_shell(code: str, folder: Path) -> None:
    """Runs what the shell is to do, but for listening, which has no end."""
    (folder / "relay").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m relay.cli "$@"\n')
    (folder / "relay").chmod(0o755)
    commands = "\n".join(row for row in code.splitlines() if not row.startswith("relay listen"))
    async with running("sh", "-c", commands.replace("curl ", "curl -sS "), folder=folder) as shell:
        assert json.loads(await line(shell))["accepted"]
        assert re.fullmatch(r"[\w-]{4,12}", await line(shell))
