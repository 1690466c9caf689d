"""The test page in a real browser: a person with a key sees mail arrive, and is told what went wrong."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests import harness
from tests.harness import ADDRESS, KEY, QUIET_ADDRESS, Relay
from tests.web.conftest import Scheme, visit

pytestmark = pytest.mark.anyio

SCHEMES: tuple[Scheme, ...] = ("dark", "light")
LINK = "https://shop.test/confirm?token=1234&for=user1"
EFFECT = "top.document.title='owned';parent.parent.document.title='owned';fetch('http://elsewhere.test/run')"
HOSTILE = f"""\
<html><head>
<style>h1 {{ color: rgb(170, 0, 0) }} p {{ background: url(http://elsewhere.test/style.png) }}</style>
<style>@import "http://elsewhere.test/style.css";</style>
<link rel="stylesheet" href="http://elsewhere.test/link.css"><base href="http://elsewhere.test/">
<meta http-equiv="refresh" content="0;url=http://elsewhere.test/"></head>
<body onload="{EFFECT}"><h1 style="font-size:40px">Big news</h1>
<script>{EFFECT}</script><script src="http://elsewhere.test/script.js"></script>
<img src="http://elsewhere.test/pixel.gif" onerror="{EFFECT}"><img src="none.png" onerror="{EFFECT}">
<svg onload="{EFFECT}"><image href="http://elsewhere.test/svg.png"/></svg>
<iframe src="http://elsewhere.test/frame"></iframe><iframe srcdoc="<script>{EFFECT}</script>"></iframe>
<object data="http://elsewhere.test/object"></object><video src="http://elsewhere.test/film" autoplay></video>
<table background="http://elsewhere.test/table.png"><tr><td style="background:u\\72l(http://elsewhere.test/td)">x</table>
<form action="http://elsewhere.test/form"><button>Press</button></form>
<a href="http://elsewhere.test/link" id="out">Go</a><a href="javascript:{EFFECT}">Run</a>
</body></html>
"""


async def paste_key(page: Page, key: str = KEY) -> None:
    await page.get_by_label("Paste your API key").fill(key)
    await page.get_by_role("checkbox", name=ADDRESS, exact=True).wait_for()


async def listen(page: Page) -> None:
    """As user1, to one address."""
    await paste_key(page)
    await page.get_by_role("checkbox", name="second@mailsac.com").uncheck()
    await page.get_by_role("button", name="Start listening").click()
    await expect(page.locator("#state")).to_have_text("Listening")


def heads(page: Page) -> Locator:
    """The lines of the messages, the newest first."""
    return page.locator(".message-head")


def note(page: Page, text: str) -> Locator:
    """What the page says between the messages."""
    return page.locator(".note", has_text=text)


async def post_html(relay: Relay, subject: str, html: str) -> None:
    mail = f"From: ann@sender.test\r\nSubject: {subject}\r\nContent-Type: text/html\r\n\r\n{html}"
    assert (await relay.post(mail.encode(), ADDRESS)).json()["accepted"]


async def test_a_person_sees_a_sample_arrive(relay: Relay, browser: Browser) -> None:
    async with visit(browser, relay.url) as visitor:
        page = visitor.page
        await expect(page.get_by_text("No key yet?")).to_be_visible()
        await listen(page)
        await expect(page.get_by_text("Nothing has come yet")).to_be_visible()
        await page.get_by_role("button", name="Send a sample mail").click()
        await expect(heads(page)).to_contain_text("Sample Shop")
        await expect(page.locator("#aloud")).to_contain_text(
            "Mail from Sample Shop: Sample: your one-time code is"
        )
        inside = page.frame_locator("iframe.letter").frame_locator("iframe")
        await expect(inside.get_by_role("heading")).to_have_text("Here is your mail")
        await expect(inside.locator("img[src^='data:image/png;base64,']")).to_be_visible()
        await look_at_all(page)
        assert KEY not in page.url
        assert await page.evaluate("[document.cookie, JSON.stringify(localStorage)]") == ["", "{}"]


async def look_at_all(page: Page) -> None:
    """Every view of the sample."""
    panel = page.locator(".message-body [role=tabpanel]")
    await page.get_by_role("tab", name="Text").click()
    await expect(panel).to_contain_text("somebody pressed a button")
    await page.get_by_role("tab", name="Headers").click()
    await expect(panel.get_by_role("row", name="message-id")).to_contain_text("@example.org>")
    await page.get_by_role("tab", name="Raw").press("ArrowRight")  # by keyboard, on to the next one
    await expect(panel).to_contain_text('"inbox": "user1@mailsac.com"')
    await page.get_by_role("tab", name="Attachments (2)").click()
    async with page.expect_download() as download:
        await panel.get_by_role("button", name="Download order.csv").click()
    assert (await download.value).suggested_filename == "order.csv"
    assert await (await download.value).failure() is None


async def test_the_html_of_a_mail_runs_and_loads_nothing(relay: Relay, browser: Browser) -> None:
    async with visit(browser, relay.url) as visitor:
        page = visitor.page
        await listen(page)
        await post_html(relay, "hostile", HOSTILE)
        inside = page.frame_locator("iframe.letter").frame_locator("iframe")
        heading = inside.get_by_role("heading", name="Big news")
        await expect(heading).to_have_css("color", "rgb(170, 0, 0)")  # its own style it may have
        await expect(heading).to_have_css("font-size", "40px")
        await inside.get_by_text("Go", exact=True).click()
        await inside.get_by_text("Run", exact=True).click()
        await expect(inside.get_by_role("button", name="Press")).to_be_disabled()
        await expect(page.get_by_text("things of other hosts were not loaded")).to_be_visible()
        await visitor.pictures("test-page-4-hostile")
        await expect(page).to_have_title("Test page · relay")


async def test_html_to_choke_on_is_not_shown(relay: Relay, browser: Browser) -> None:
    async with visit(browser, relay.url) as visitor:
        page = visitor.page
        await listen(page)
        await post_html(relay, "bomb", "<div>" * 50_000)
        await expect(page.get_by_text("too long, or too deep")).to_be_visible()
        await post_html(relay, "no bomb", "<p>Dear reader<br>" * 2_000 + "<h1>The end</h1>")
        await heads(page).filter(has_text="no bomb").click()
        inside = page.frame_locator("iframe.letter").frame_locator("iframe")
        await expect(inside.get_by_role("heading", name="The end")).to_be_attached()


async def test_the_frame_holds_what_was_not_made_safe(relay: Relay, browser: Browser) -> None:
    """As if cleaning had missed everything: the frames, and what they may, are the guard behind it."""
    async with visit(browser, f"{relay.url}/") as visitor:
        page = visitor.page
        await page.evaluate(
            """html => new Promise((shown) => {
              const frame = document.createElement("iframe");
              frame.src = "/letter";
              addEventListener("message", () => { frame.contentWindow.postMessage(html, "*"); shown(); });
              document.body.prepend(frame);
            })""",
            HOSTILE,
        )
        inside = page.frame_locator("iframe").first.frame_locator("iframe")
        await expect(inside.get_by_role("heading", name="Big news")).to_be_attached()
        await expect(page).to_have_title("Test page · relay")
        async with page.expect_console_message(lambda message: "frame" in message.text):
            await inside.get_by_text("Go", exact=True).click()  # to nowhere
        assert await page.evaluate("document.querySelector('iframe').contentDocument === null")  # another origin
        visitor.complaints.clear()


async def test_links_are_told_and_copied_and_lead_nowhere(relay: Relay, browser: Browser) -> None:
    async with visit(browser, relay.url) as visitor:
        page = visitor.page
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await listen(page)
        await post_html(relay, "linked", f'<a href="{LINK}">go</a>')
        await page.get_by_role("tab", name="Links (1)").click()
        links = page.get_by_role("list", name="Links of the message")
        await expect(links).to_contain_text(LINK)
        await expect(links.get_by_role("link")).to_have_count(0)
        await links.get_by_role("button", name="Copy link 1").click()
        await expect(page.get_by_text("Copied.")).to_be_visible()
        assert await page.evaluate("navigator.clipboard.readText()") == LINK
        await page.get_by_role("tab", name="JSON").click()
        await page.get_by_role("tabpanel").get_by_role("button", name="Copy").first.click()
        await page.wait_for_function("navigator.clipboard.readText().then((text) => text.startsWith('{'))")
        copied = json.loads(await page.evaluate("navigator.clipboard.readText()"))
        assert (copied["subject"], copied["links"]) == ("linked", [LINK])


async def test_a_service_that_was_away_comes_back_without_a_missed_mail(
    browser: Browser, empty_redis_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(harness.relay(empty_redis_url, tmp_path))
        async with harness.relay(empty_redis_url, tmp_path) as first:
            visitor = await stack.enter_async_context(visit(browser, first.url))
            page = visitor.page
            await listen(page)
            await first.send("before")
            await expect(heads(page)).to_have_count(1)
        await expect(note(page, "The service is restarting. (1012)")).to_be_visible()
        await expect(page.locator("#state")).to_have_text("Cut off")
        await visitor.pictures("test-page-5-cut-off")
        missed = [f"missed {number}" for number in range(3)]
        for subject in missed:
            await other.send(subject)
        async with harness.relay(empty_redis_url, tmp_path, port=first.port) as again:
            await page.locator("#hurry").dispatch_event("click")  # it is hidden if the page is back already
            await expect(page.locator("#state")).to_have_text("Listening")
            await again.send("after")
            await expect(heads(page).first).to_contain_text("after")
            subjects = await page.locator(".message-subject").all_inner_texts()
            assert subjects == ["after", *reversed(missed), "before"]
            await page.get_by_role("button", name="Stop").click()
        visitor.complaints.clear()  # a browser tells of each connection that it could not open


async def test_a_gap_is_told_in_words(browser: Browser, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with harness.relay("memory://", tmp_path) as first:
            visitor = await stack.enter_async_context(visit(browser, first.url))
            page = visitor.page
            await listen(page)
            await first.send("before")
            await expect(heads(page)).to_have_count(1)
        await expect(page.locator("#hurry")).to_be_visible()
        async with harness.relay(
            "memory://", tmp_path, port=first.port
        ) as again:  # which has forgotten everything
            # The page may have come back by itself meanwhile, and have hidden the button.
            await page.locator("#hurry").dispatch_event("click")
            await again.send("after")
            await expect(heads(page)).to_have_count(2)
            await expect(note(page, "The store lost its count, so nobody can say")).to_contain_text(ADDRESS)
            await page.get_by_role("button", name="Stop").click()
        visitor.complaints.clear()


async def test_what_is_refused_is_told_in_words(relay: Relay, browser: Browser) -> None:
    async with visit(browser, relay.url) as visitor:
        page = visitor.page
        await page.get_by_label("Paste your API key").fill("rk_nobody")
        await expect(page.get_by_text("No account has this key")).to_be_visible()
        await page.get_by_role("button", name="Start listening").click()
        problem = page.locator("#setup-error")
        await expect(problem).to_contain_text("No account has this key")
        await page.get_by_label("Paste your API key").fill("")
        await expect(problem).to_be_hidden()
        await page.get_by_role("button", name="Start listening").click()
        await expect(problem).to_contain_text("paste your API key")
        await paste_key(page)
        await page.get_by_text("Others, or whole domains").click()
        await page.get_by_label("Other addresses").fill(QUIET_ADDRESS)
        await page.get_by_role("button", name="Start listening").click()
        refused = note(page, "An address is not yours, or its forwarding is off. (4403)")
        await expect(refused).to_contain_text(f"{QUIET_ADDRESS}: forwarding is off")
        await visitor.pictures("test-page-6-refused")
        await page.get_by_label("Other addresses").fill("")
        await page.get_by_role("button", name=f"Switch on forwarding for {QUIET_ADDRESS}").click()
        await expect(page.get_by_role("checkbox", name=QUIET_ADDRESS)).to_be_checked()
        await page.get_by_role("button", name="Start listening").click()
        await expect(page.locator("#state")).to_have_text("Listening")
        await relay.send("now it does", QUIET_ADDRESS)
        await expect(heads(page)).to_contain_text("now it does")
        visitor.complaints.clear()  # the browser tells of each answer 401


async def test_it_can_be_read_by_everybody(relay: Relay, browser: Browser, node_folder: Path) -> None:
    axe = (node_folder / "node_modules" / "axe-core" / "axe.min.js").read_text()
    async with visit(browser, relay.url) as visitor:
        page = visitor.page
        await visitor.pictures("test-page-1-empty", schemes=SCHEMES)
        await listen(page)
        await expect(page.get_by_text("Nothing has come yet")).to_be_visible()
        await visitor.pictures("test-page-2-listening", schemes=SCHEMES)
        await page.get_by_role("button", name="Send a sample mail").click()
        await expect(heads(page)).to_have_count(1)
        await relay.send(
            "A subject that does not end where others do, as some people write all of the mail into it"
        )
        await expect(heads(page)).to_have_count(2)
        inside = page.frame_locator("iframe.letter").frame_locator("iframe")
        await expect(inside.get_by_role("heading")).to_be_visible()
        await visitor.pictures("test-page-3-mails", schemes=SCHEMES)
        for scheme in SCHEMES:
            await visitor.check_accessible(axe, scheme)
        await page.get_by_role("button", name="Stop").click()
        await page.get_by_role("button", name="Clear the list").click()
        for scheme in SCHEMES:
            await visitor.check_accessible(axe, scheme)


async def test_by_keyboard_alone(relay: Relay, browser: Browser) -> None:
    async with visit(browser, relay.url) as visitor:
        page = visitor.page
        await page.get_by_label("Paste your API key").focus()
        await page.keyboard.insert_text(KEY)
        await page.keyboard.press("Enter")  # before its addresses are there
        await expect(page.locator("#state")).to_have_text("Listening")
        await expect(page.get_by_role("button", name="Stop")).to_be_focused()
        await relay.send("for the keyboard")
        await heads(page).focus()
        await page.keyboard.press("Enter")
        await expect(heads(page)).to_have_attribute("aria-expanded", "false")
        await page.get_by_role("button", name="Stop").press("Enter")
        await expect(page.get_by_role("button", name="Start listening")).to_be_focused()


async def test_the_list_holds_the_last_200(relay: Relay, browser: Browser) -> None:
    async with visit(browser, relay.url) as visitor:
        page = visitor.page
        await listen(page)
        await relay.send("the first")
        await asyncio.gather(*(relay.send("one more") for _ in range(200)))
        await relay.send("the last")
        await expect(heads(page).first).to_contain_text("the last")
        await expect(heads(page)).to_have_count(200)
        await expect(page.get_by_text("the first")).to_have_count(0)


async def test_the_chosen_colours_stay(relay: Relay, browser: Browser) -> None:
    async with visit(browser, relay.url) as visitor:
        page = visitor.page
        await page.get_by_role("button", name="Switch to dark colours").click()
        await page.reload()
        await expect(page.locator("body")).to_have_css("background-color", "rgb(16, 21, 20)")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


async def test_the_code_names_service_addresses_and_no_key(relay: Relay, browser: Browser) -> None:
    async with visit(browser, relay.url) as visitor:
        page = visitor.page
        await paste_key(page)
        code = page.locator("#snippets code")
        for name in ("JavaScript", "Node", "Python", "Shell"):
            await page.get_by_role("tab", name=name).click()
            await expect(code).to_contain_text(f"127.0.0.1:{relay.port}")
            await expect(code).to_contain_text(ADDRESS)
            await expect(code).to_contain_text("YOUR_API_KEY")
            await expect(code).not_to_contain_text(KEY)
        await page.get_by_role("checkbox", name="Fill in my key").check()
        await expect(code).to_contain_text(KEY)
