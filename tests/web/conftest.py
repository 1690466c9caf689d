"""One browser for all tests of pages, and a visit that notices whatever goes wrong in a page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, ViewportSize

_SCREENSHOTS = Path(__file__).parent.parent.parent / ".artifacts" / "screenshots"
_WIDE: ViewportSize = {"width": 1280, "height": 900}
_NARROW: ViewportSize = {"width": 360, "height": 740}
_WAIT_MS = 10_000
_PAINTED = "new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)))"

Scheme = Literal["light", "dark"]


@pytest.fixture
def redis_url() -> str:
    """One store is enough here: a page sees no difference."""
    return "memory://"


@dataclass
class Visit:
    """A page that somebody looks at, and what happened that should not."""

    page: Page
    complaints: list[str] = field(default_factory=list)  # of the console, and uncaught errors
    asked: list[str] = field(default_factory=list)  # URLs, of whatever host
    meant: str = "\n"  # what a complaint may hold, whenever it comes; by default none does

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def on_request(self, request: Request) -> None:
        if urlsplit(request.url).netloc:
            self.asked.append(request.url)

    def on_failed_request(self, request: Request) -> None:
        if request.failure == "csp":  # it never left
            self.asked.remove(request.url)

    async def pictures(self, subject: str, *, schemes: Sequence[Scheme] = ("light",)) -> None:
        """Keeps what is seen, wide and narrow, for people to look at; and sees that nobody has to scroll sideways."""
        for scheme in schemes:
            await self.page.emulate_media(color_scheme=scheme)
            for viewport in (_NARROW, _WIDE):
                await self.page.set_viewport_size(viewport)
                over = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert over <= 0, f"{subject}: {over} px too wide for {viewport['width']}"
                # As high as the page is: what is in frames below the edge would not be painted.
                height = await self.page.evaluate("document.documentElement.scrollHeight")
                await self.page.set_viewport_size({"width": viewport["width"], "height": height})
                await self.page.evaluate(_PAINTED)
                name = f"{subject}-{scheme}-{viewport['width']}.png"
                await self.page.screenshot(path=_SCREENSHOTS / name)
                await self.page.set_viewport_size(viewport)

    async def check_accessible(self, axe: str, scheme: Scheme) -> None:
        """No serious or critical violation, as far as axe-core can tell. By its own protocol, so CSP stays on."""
        await self.page.emulate_media(color_scheme=scheme)
        await self.page.evaluate(axe)
        found = await self.page.evaluate(
            "axe.run(document, {iframes: false, resultTypes: ['violations'], elementRef: false})"
        )
        bad = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
        assert not bad, [(one["id"], [node["html"] for node in one["nodes"]]) for one in bad]


@asynccontextmanager
async def visit(browser: Browser, url: str) -> AsyncIterator[Visit]:
    """Opens a page in a profile of its own. At its end nothing may have complained, and no other host been asked."""
    async with await browser.new_context(color_scheme="light", viewport=_WIDE) as context:
        page = await context.new_page()
        page.set_default_timeout(_WAIT_MS)
        visitor = Visit(page)
        page.on("console", visitor.on_console)
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        page.on("request", visitor.on_request)
        page.on("requestfailed", visitor.on_failed_request)
        await page.goto(url)
        yield visitor
        assert [complaint for complaint in visitor.complaints if visitor.meant not in complaint] == []
        assert {urlsplit(asked).netloc for asked in visitor.asked} == {urlsplit(url).netloc}
