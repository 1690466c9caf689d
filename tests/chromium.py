"""A Chromium, for tests that look at what a person sees."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from playwright._impl._driver import compute_driver_executable
from playwright.async_api import Browser, Playwright, async_playwright

from tests import tools

_LAUNCH = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """A running browser. Raises tools.Missing where there is none, or where its driver lacks a library."""
    if not _driver_runs():
        raise tools.Missing(tools.BROWSER)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_executable(playwright), args=_LAUNCH)
        yield browser
        await browser.close()


@cache
def _driver_runs() -> bool:
    """Playwright brings a Node of its own, which needs libraries of C++ that Chromium's package brings along."""
    ended = subprocess.run([*compute_driver_executable(), "--version"], check=False, capture_output=True)
    return ended.returncode == 0


def _executable(playwright: Playwright) -> str:
    """The machine's own, else the one that ``playwright install`` has downloaded."""
    if found := tools.BROWSER.find():
        return found
    downloaded = playwright.chromium.executable_path
    if not Path(downloaded).exists():
        raise tools.Missing(tools.BROWSER)
    return downloaded
