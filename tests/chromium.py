"""A Chromium, for tests that look at what a person sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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
    """A running browser. Raises tools.Missing where there is none."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_executable(playwright), args=_LAUNCH)
        yield browser
        await browser.close()


def _executable(playwright: Playwright) -> str:
    """The machine's own, else the one that ``playwright install`` has downloaded."""
    if found := tools.BROWSER.find():
        return found
    downloaded = playwright.chromium.executable_path
    if not Path(downloaded).exists():
        raise tools.Missing(tools.BROWSER)
    return downloaded
