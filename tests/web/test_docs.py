"""The reference in a real browser: found, filtered, read by everybody, and without any script as well."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from relay.reference import NOUNS
from relay.reference.vocabulary import HOST
from tests.harness import Relay
from tests.web.conftest import Scheme, visit

pytestmark = pytest.mark.anyio

SCHEMES: tuple[Scheme, ...] = ("light", "dark")
OPERATIONS = [operation for noun in NOUNS for operation in noun.operations]


async def open_entries(page: Page) -> list[str]:
    """Ids of what is shown."""
    found: list[str] = await page.locator(".docs-entry:not([hidden])").evaluate_all(
        "all => all.map(one => one.id)"
    )
    return [one for one in found if one]


async def test_every_operation_is_found_in_the_contents(relay: Relay, browser: Browser) -> None:
    async with visit(browser, f"{relay.url}/docs") as visitor:
        contents = visitor.page.get_by_role("navigation", name="Reference")
        for operation in OPERATIONS:
            await expect(contents.locator(f'a[href="#{operation.id}"]')).to_have_text(
                re.compile(re.escape(operation.title))
            )
        links = await visitor.page.locator('a[href^="#"]').evaluate_all("all => all.map(one => one.hash.slice(1))")
        ids = await visitor.page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
        assert set(links) <= set(ids)
        assert len(set(ids)) == len(ids)


async def test_what_one_looks_for_is_found(relay: Relay, browser: Browser) -> None:
    async with visit(browser, f"{relay.url}/docs") as visitor:
        page = visitor.page
        await page.keyboard.press("/")
        await expect(page.get_by_label("Find in the reference")).to_be_focused()
        await page.keyboard.type("Download attachment checksum")
        await expect(page.locator("#downloadAttachment")).to_be_visible()
        await expect(page.locator("#listDomains")).to_be_hidden()
        assert "listDomains" not in await open_entries(page)
        await page.get_by_label("Find in the reference").fill("4408")
        assert "closes" in await open_entries(page)
        await page.get_by_label("Find in the reference").fill("no such words")
        await expect(page.get_by_role("status").first).to_have_text(re.compile("^0 of "))
        await page.keyboard.press("Escape")
        assert {one.id for one in OPERATIONS} <= set(await open_entries(page))


async def test_a_link_leads_to_what_the_filter_hides(relay: Relay, browser: Browser) -> None:
    async with visit(browser, f"{relay.url}/docs") as visitor:
        page = visitor.page
        await page.get_by_label("Find in the reference").fill("listDomains")
        await page.evaluate("location.hash = '#shape-Message'")
        await expect(page.locator("#shape-Message")).to_be_in_viewport()


async def test_the_examples_name_the_host_that_one_is_at(relay: Relay, browser: Browser) -> None:
    async with visit(browser, f"{relay.url}/docs") as visitor:
        codes = await visitor.page.locator("#openSocket code").all_text_contents()
        assert any(f"curl '{relay.url}/incoming-messages" in code for code in codes)
        assert any(f'"{relay.url.replace("http", "ws")}/incoming-messages' in code for code in codes)
        assert not any(HOST in code for code in codes)


async def test_it_can_be_read_by_everybody(relay: Relay, browser: Browser, node_folder: Path) -> None:
    axe = (node_folder / "node_modules" / "axe-core" / "axe.min.js").read_text()
    async with visit(browser, f"{relay.url}/docs") as visitor:
        # A part with tables and code: all of it would take half a minute, and is made by the same few functions.
        await visitor.page.get_by_label("Find in the reference").fill("revoke")
        assert {"revokeKey", "closes"} <= set(await open_entries(visitor.page))
        for scheme in SCHEMES:
            await visitor.check_accessible(axe, scheme)
        await visitor.pictures("docs", schemes=SCHEMES)


async def test_it_can_be_read_without_any_script(relay: Relay, browser: Browser) -> None:
    async with await browser.new_context(java_script_enabled=False) as context:
        page = await context.new_page()
        await page.goto(f"{relay.url}/docs#releaseAddress")
        await expect(page.get_by_role("heading", name="Release an address")).to_be_in_viewport()
        await expect(page.get_by_role("searchbox")).to_be_hidden()
        await expect(page.locator("#releaseAddress code").last).to_contain_text("Address was released.")
