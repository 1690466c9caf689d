"""The dashboard in a real browser: what the seed document has a person do there, and what can go wrong on the way."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, Route, expect

from tests import harness
from tests.accounts.dns_server import DnsServer
from tests.harness import ACCOUNT, ADDRESS, KEY, OTHER_ADDRESS, QUIET_ADDRESS, Relay
from tests.web.conftest import Scheme, Visit, visit

pytestmark = pytest.mark.anyio

SECOND = "second@mailsac.com"
MESSAGES = f"/api/addresses/{ADDRESS}/messages"
MAIL_WITH_ALL = b"""\
From: Carl <carl@sender.test>
To: user1@mailsac.com
Subject: Your invoice
X-Mark: <b>not markup</b>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain

Dear customer in plain words,
--a
Content-Type: text/html

<p onclick="alert(1)">Dear <a href="https://shop.test/pay?of=42">customer</a>,</p><script src="https://evil.test/x.js"></script>
<script>document.body.textContent = "ran"</script><img src="https://evil.test/x.png">
--a--
--m
Content-Type: text/plain
Content-Disposition: attachment; filename=invoice.txt

42.00
--m--
""".replace(b"\n", b"\r\n")
ROOMS = Path(__file__).parents[2] / "relay"
ADVICE = re.compile(r"^ +[^`\n]*\b(?:GET|POST|PUT|DELETE) /api/.*$", re.MULTILINE)  # in sentences of the service
SCHEMES: tuple[Scheme, ...] = ("dark", "light")
SECTIONS = ("addresses", "inbox", "domains", "keys", "sockets", "activity")
BOX = "Forward all incoming emails via web socket"
NEW = "new@mailsac.com"


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer() as server:
        yield server


@pytest.fixture
async def relay(dns: DnsServer, tmp_path: Path, anyio_backend: Any) -> AsyncIterator[Relay]:
    """One store is enough here: a browser sees no difference."""
    async with harness.relay("memory://", tmp_path, dns_servers=dns.address) as running:
        yield running


@dataclass
class Dashboard:
    """A tab with the dashboard, and what a person does in it."""

    visitor: Visit
    relay: Relay

    @property
    def page(self) -> Page:
        return self.visitor.page

    def refusals_were_meant(self) -> None:
        """The browser's console tells of each answer that is an error; nothing else may stand there."""
        assert [text for text in self.visitor.complaints if not text.startswith("Failed to load resource")] == []
        self.visitor.meant = "Failed to load resource"

    async def open(self, where: str = "") -> None:
        await self.page.goto(f"{self.relay.url}/dashboard{where}")

    async def sign_in(self, key: str = KEY) -> None:
        await self.page.get_by_label("API key", exact=True).fill(key)
        await self.press("Sign in")

    async def go(self, section: str) -> None:
        await self.page.get_by_role("navigation", name="Dashboard").get_by_role("link", name=section).click()
        await expect(self.heading(section)).to_be_focused()

    def heading(self, name: str) -> Locator:
        return self.page.get_by_role("heading", level=1, name=name)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    def dialog(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("dialog", name=name)

    async def submit(self, dialog: Locator, name: str) -> None:
        await dialog.get_by_role("button", name=name, exact=True).click()
        await expect(dialog).to_have_count(0)

    def row(self, name: str) -> Locator:
        return self.page.get_by_role("row").filter(has_text=name)


@pytest.fixture
async def dashboard(relay: Relay, browser: Browser) -> AsyncIterator[Dashboard]:
    """Signed in as user1."""
    async with visit(browser, f"{relay.url}/dashboard") as visitor:
        tab = Dashboard(visitor, relay)
        await tab.sign_in()
        await expect(tab.heading("Manage Email Addresses")).to_be_visible()
        yield tab


async def test_from_reserving_to_ticking_to_receiving(dashboard: Dashboard, relay: Relay) -> None:
    page = dashboard.page
    await dashboard.go("Manage Email Addresses")
    await page.get_by_role("button", name="Add Email Address").click()
    adding = dashboard.dialog("Add Email Address")
    await adding.get_by_label("Email address").fill(NEW)
    await adding.get_by_label("Note").fill("the sign-up test")
    await dashboard.submit(adding, "Add Email Address")
    await expect(dashboard.row(NEW)).to_contain_text("the sign-up test")
    await expect(dashboard.row(NEW)).to_contain_text("off")
    assert (await relay.post(harness.MAIL, NEW)).json()["accepted"] == []
    told = page.locator(".toast")
    await expect(told).to_contain_text("choose Settings and tick the box")
    await dashboard.press(f"Settings of {NEW}")
    settings = dashboard.dialog("Settings")
    await settings.get_by_label(BOX).check()
    await dashboard.submit(settings, "Save")
    await expect(page.get_by_role("button", name=f"Settings of {NEW}")).to_be_focused()
    await expect(told).to_have_count(1)  # what is not true any more is gone
    await expect(told).to_contain_text("is forwarded from now on")
    await expect(dashboard.row(NEW).get_by_text("on", exact=True)).to_be_visible()
    async with relay.listen(NEW) as socket:
        await relay.send("the first mail", NEW)
        assert await socket.subject() == "the first mail"
    await dashboard.go("Inbox")
    await expect(told).to_have_count(0)
    await expect(page.get_by_role("link", name="the first mail")).to_contain_text(f"to {NEW}")


async def test_settings_keep_what_was_not_changed_and_release_asks_first(
    dashboard: Dashboard, relay: Relay
) -> None:
    await relay.rest("PUT", f"/api/addresses/{ADDRESS}", json={"info": "kept", "webhook": "https://hook.test/"})
    await dashboard.page.reload()
    await dashboard.press(f"Settings of {ADDRESS}")
    settings = dashboard.dialog("Settings")
    await expect(settings.get_by_label(BOX)).to_be_checked()
    await settings.get_by_label(BOX).uncheck()
    await dashboard.submit(settings, "Save")
    address = (await relay.rest("GET", f"/api/addresses/{ADDRESS}")).json()
    assert (address["enablews"], address["info"], address["webhook"]) == (False, "kept", "https://hook.test/")
    for answer, left in (("Keep it", 1), ("Release", 0)):
        await dashboard.press(f"Settings of {ADDRESS}")
        await dashboard.page.get_by_role("button", name="Release this address").click()
        await dashboard.submit(dashboard.dialog(f"Release {ADDRESS}?"), answer)
        await expect(dashboard.row(ADDRESS)).to_have_count(left)
    assert "owner" not in (await relay.rest("GET", f"/api/addresses/{ADDRESS}")).json()


async def test_an_address_that_cannot_be_had_says_why(dashboard: Dashboard) -> None:
    await dashboard.press("Add Email Address")
    adding = dashboard.dialog("Add Email Address")
    for address, told in (
        (OTHER_ADDRESS, "belongs to another account"),
        (ADDRESS, "already"),
        ("no address", "@-sign"),
        ("x@nobodys.example", "add and verify it under Custom Domains, or choose an address on"),
        ("", "Fill in the address"),
    ):
        await adding.get_by_label("Email address").fill(address)
        await adding.get_by_role("button", name="Add Email Address").click()
        await expect(adding.get_by_role("alert")).to_contain_text(told)
    await dashboard.page.keyboard.press("Escape")
    await expect(adding).to_have_count(0)
    await expect(dashboard.heading("Manage Email Addresses")).to_be_visible()  # still signed in
    dashboard.refusals_were_meant()


async def test_a_wrong_key_says_so_and_a_right_one_stays_in_its_tab(dashboard: Dashboard, relay: Relay) -> None:
    page = dashboard.page
    assert await page.evaluate("[sessionStorage['relay.key'], sessionStorage['relay.account']]") == [KEY, ACCOUNT]
    assert await page.evaluate("[document.cookie, localStorage.length]") == ["", 0]
    assert KEY not in page.url
    await dashboard.press("Sign out")
    assert await page.evaluate("sessionStorage.length") == 0
    await expect(page.get_by_role("table")).to_have_count(0)
    for key, told in (("wrong", "not known here"), ("", "Paste your API key"), ("two words", "no spaces")):
        await dashboard.sign_in(key)
        await expect(page.locator("#door-error")).to_contain_text(told)
    dashboard.refusals_were_meant()
    await page.evaluate("sessionStorage['relay.key'] = 'second-key-of-user1'")  # as another page of ours does
    await page.reload()
    await expect(page.locator("#dash-account")).to_have_text(ACCOUNT)
    other = await page.context.new_page()
    await other.goto(f"{relay.url}/dashboard")
    await expect(other.get_by_role("heading", name="Sign in to")).to_be_visible()


async def test_a_domain_is_proven_by_the_record_that_is_shown(dashboard: Dashboard, dns: DnsServer) -> None:
    page = dashboard.page
    await dashboard.go("Custom Domains")
    await dashboard.press("Add Domain")
    adding = dashboard.dialog("Add Domain")
    await adding.get_by_label("Domain", exact=True).fill("shop.example")
    await dashboard.submit(adding, "Add Domain")
    card = page.get_by_role("article", name="shop.example")
    value = await card.locator("code").text_content()
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await card.get_by_role("button", name="Copy").click()
    await expect(page.get_by_text("Copied.")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == value
    await card.get_by_role("button", name="Check").click()
    await expect(card).to_contain_text("the DNS has no domain shop.example (NXDOMAIN)")
    dns.txt["shop.example"] = [f'"{value}"']
    await card.get_by_role("button", name="Check").click()
    await expect(card.get_by_text("verified", exact=True)).to_be_visible()
    await card.get_by_role("button", name="Remove").click()
    await dashboard.submit(dashboard.dialog("Remove shop.example?"), "Remove")
    await expect(card).to_have_count(0)


async def test_a_key_is_made_and_shown_once_and_used_and_revoked(dashboard: Dashboard, relay: Relay) -> None:
    page = dashboard.page
    await dashboard.go("API Keys")
    await dashboard.press("Make API Key")
    making = dashboard.dialog("Make API Key")
    await making.get_by_label("Label").fill("laptop")
    await dashboard.submit(making, "Make API Key")
    shown = dashboard.dialog("Your new API key")
    key = await shown.locator("code").text_content()
    assert key is not None
    for _ in range(3):
        await page.keyboard.press("Escape")
    await expect(shown.get_by_role("status")).to_contain_text("cannot be shown again")
    await page.go_back()
    await expect(page).to_have_title(re.compile("Manage Email Addresses"))
    await page.go_forward()
    await expect(page).to_have_title(re.compile("API Keys"))
    await expect(shown.locator("code")).to_have_text(key)
    await dashboard.submit(shown, "I have kept it")
    await expect(page.locator("dialog")).to_have_count(0)
    assert key not in await page.content()
    async with relay.listen(key=key) as socket:
        await dashboard.row("laptop").get_by_role("button", name="Revoke").click()
        await dashboard.submit(dashboard.dialog("Revoke laptop?"), "Revoke")
        assert (await socket.closed())[0] == 4401
    await expect(dashboard.row("laptop")).to_have_count(0)
    assert (await relay.rest("GET", "/api/keys", key=key)).status_code == 401


async def test_whose_key_is_revoked_is_signed_out_and_told(dashboard: Dashboard, relay: Relay) -> None:
    [mine] = [key["id"] for key in (await relay.rest("GET", "/api/keys")).json() if key["current"]]
    assert (await relay.rest("DELETE", f"/api/keys/{mine}", key=f"second-{KEY}")).status_code == 200
    await dashboard.page.get_by_role("link", name="Custom Domains").click()
    await expect(dashboard.page.get_by_role("alert")).to_contain_text("does not work any more")
    assert await dashboard.page.evaluate("sessionStorage.length") == 0
    dashboard.refusals_were_meant()


async def test_a_mail_is_read_starred_and_deleted(dashboard: Dashboard, relay: Relay) -> None:
    page = dashboard.page
    await dashboard.go("Inbox")
    await relay.post(MAIL_WITH_ALL, ADDRESS)
    item = page.get_by_role("link", name="Your invoice")  # by itself
    await expect(item).to_contain_text("Unread: Carl")
    await expect(item).to_contain_text("With attachments")
    await expect(item.locator("use[href$='#clip']")).to_be_visible()
    await item.press("Enter")
    letter = page.get_by_role("article", name="Your invoice")
    await expect(letter.get_by_role("heading", name="Your invoice")).to_be_focused()
    inside = letter.frame_locator("iframe").frame_locator("iframe")
    await expect(inside.locator("body")).to_have_text("Dear customer,")
    assert any("/api/body/" in url for url in dashboard.visitor.asked)  # which is safe by itself
    await expect(item).not_to_contain_text("Unread")
    await letter.get_by_role("tab", name="Message").press("ArrowRight")
    await expect(letter.get_by_role("tabpanel")).to_contain_text("Dear customer in plain words,")
    await letter.get_by_role("tab", name="Headers").click()
    await expect(letter.get_by_role("tabpanel")).to_contain_text("X-Mark: <b>not markup</b>")
    await letter.get_by_role("tab", name="Links (3)").click()
    await expect(letter.get_by_role("tabpanel")).to_contain_text("https://shop.test/pay?of=42")
    await letter.get_by_role("tab", name="Raw").click()
    await expect(letter.get_by_role("tabpanel")).to_contain_text("Content-Type: multipart/alternative; boundary=a")
    await letter.get_by_role("tab", name="JSON").click()
    await expect(letter.get_by_role("tabpanel")).to_contain_text('"subject": "Your invoice"')
    await letter.get_by_role("tab", name="Attachments (1)").click()
    async with page.expect_download() as downloading:
        await letter.get_by_role("button", name="Download invoice.txt").click()
    download = await downloading.value
    assert (download.suggested_filename, (await download.path()).read_bytes()) == ("invoice.txt", b"42.00")
    await letter.get_by_role("button", name="Star").click()
    await expect(page.get_by_role("button", name="Star: Your invoice")).to_have_attribute("aria-pressed", "true")
    await letter.get_by_role("button", name="Mark unread").click()
    await expect(item).to_contain_text("Unread")
    assert [one["savedBy"] for one in (await relay.rest("GET", MESSAGES)).json()] == [ACCOUNT]
    await item.click()
    await letter.get_by_role("button", name="Delete").click()
    await dashboard.submit(dashboard.dialog("Delete this message?"), "Delete")
    await expect(page.get_by_text("No mail yet")).to_be_visible()
    await page.get_by_role("button", name="Send a sample mail").click()
    await expect(page.get_by_role("link", name="sample")).to_be_visible()


async def test_mail_is_found_by_words_and_by_address(dashboard: Dashboard, relay: Relay) -> None:
    page = dashboard.page
    await relay.send("an apple")
    await relay.send("a pear", SECOND)
    await dashboard.go("Inbox")
    apple, pear = (page.get_by_role("link", name=name) for name in ("an apple", "a pear"))
    await expect(apple).to_be_visible()
    await expect(pear).to_be_visible()
    await page.get_by_label("Search all mail").fill("PEAR")
    await expect(apple).to_have_count(0)
    await expect(pear).to_be_visible()
    await page.get_by_label("Messages of").select_option(ADDRESS)
    await expect(apple).to_be_visible()
    await expect(pear).to_have_count(0)
    await dashboard.open(f"#inbox/{OTHER_ADDRESS}")
    await expect(page.get_by_role("alert")).to_contain_text("is not an address of this account")
    dashboard.refusals_were_meant()


async def test_sockets_appear_with_what_they_got_and_go(dashboard: Dashboard, relay: Relay) -> None:
    await dashboard.go("Open Sockets")
    await expect(dashboard.page.get_by_text("Nobody is listening")).to_be_visible()
    async with relay.listen(f"{ADDRESS},example.com") as socket:
        await relay.send("one")
        await socket.subject()
        row = dashboard.row("all of example.com")
        await expect(row.get_by_role("cell").nth(3)).to_have_text("1")
        await expect(row).to_contain_text("127.0.0.1")
        await dashboard.page.context.set_offline(True)
        await expect(dashboard.page.get_by_role("alert")).to_contain_text("does not answer")
        await expect(row).to_be_visible()
        await dashboard.page.context.set_offline(False)
        await expect(dashboard.page.get_by_role("alert")).to_have_count(0)
        dashboard.refusals_were_meant()
    await expect(dashboard.page.get_by_text("Nobody is listening")).to_be_visible()


async def test_the_keyboard_is_enough_and_the_hash_leads_back(dashboard: Dashboard) -> None:
    page = dashboard.page
    await dashboard.page.get_by_role("button", name="Add Email Address").focus()
    await page.keyboard.press("Enter")
    await expect(dashboard.dialog("Add Email Address").get_by_label("Email address")).to_be_focused()
    await page.keyboard.type(NEW)
    await page.keyboard.press("Enter")
    await expect(dashboard.row(NEW)).to_be_visible()
    await expect(dashboard.dialog("Add Email Address")).to_have_count(0)
    await dashboard.go("API Keys")
    await page.go_back()
    await expect(dashboard.heading("Manage Email Addresses")).to_be_focused()
    for nowhere in ("no/such%section", "__proto__", "constructor"):
        await dashboard.open("#keys")
        await expect(dashboard.heading("API Keys")).to_be_visible()
        await dashboard.open(f"#{nowhere}")
        await expect(dashboard.row(QUIET_ADDRESS)).to_be_visible()


async def test_activity_is_live_and_of_one_address_when_asked(dashboard: Dashboard, relay: Relay) -> None:
    page = dashboard.page
    await dashboard.go("Recent Activity")
    await expect(page.get_by_text("Nothing has happened yet")).to_be_visible()
    await relay.send("one")
    events = page.get_by_role("list", name="Events").get_by_role("listitem")
    await expect(events.filter(has_text="nobody listening")).to_contain_text(ADDRESS)
    await relay.send("two", SECOND)
    await expect(events.filter(has_text=SECOND).first).to_be_visible()
    await page.get_by_label("Events of").select_option(SECOND)
    await expect(events.filter(has_text=ADDRESS)).to_have_count(0)
    await expect(events.filter(has_text=SECOND).first).to_be_visible()


async def test_on_a_narrow_screen_a_note_is_alone_and_covers_nothing(dashboard: Dashboard) -> None:
    page = dashboard.page
    await page.set_viewport_size({"width": 360, "height": 740})
    notes = "([kind, text]) => import('/static/toast.js').then(({ toast }) => toast(text, kind))"
    for kind, text in (("bad", "the first"), ("good", "the second")):
        await page.evaluate(notes, [kind, text])
    note = page.locator(".toast:visible")
    await expect(note).to_have_text("the second")
    below = await note.evaluate("(note) => note.getBoundingClientRect().bottom")
    content = await page.locator("main").evaluate("(main) => main.getBoundingClientRect().top")
    assert 0 < below <= content


async def test_what_was_refused_is_told_in_the_words_of_the_page(dashboard: Dashboard, relay: Relay) -> None:
    await relay.post(harness.MAIL, QUIET_ADDRESS)
    await dashboard.go("Recent Activity")
    event = dashboard.page.get_by_role("list", name="Events").get_by_role("listitem")
    await expect(event).to_contain_text("choose Settings under Manage Email Addresses and tick the box.")


async def test_no_advice_of_the_service_speaks_rest_on_a_page(dashboard: Dashboard) -> None:
    sources = [
        path.read_text() for room in ("accounts", "activity", "api") for path in (ROOMS / room).glob("*.py")
    ]
    said = [text.replace("{{", "{").replace("}}", "}") for source in sources for text in ADVICE.findall(source)]
    assert len(said) > 6
    told = await dashboard.page.evaluate(
        "said => import('/static/advice.js').then(({ inWordsOfPages }) => said.map(inWordsOfPages))", said
    )
    assert [text for text in told if "/api/" in text] == []


async def test_what_an_older_service_lacks_breaks_nothing_else(dashboard: Dashboard) -> None:
    async def lacking(route: Route) -> None:
        await route.fulfill(status=404, json={"error": "there is no such path"})

    for path in ("activity*", "inbox*", "sockets", "me"):
        await dashboard.page.route(f"**/api/{path}", lacking)
    for section in ("Inbox", "Open Sockets", "Recent Activity"):
        await dashboard.go(section)
        await expect(dashboard.page.get_by_text("does not offer this yet")).to_be_visible()
    await dashboard.go("Manage Email Addresses")
    await expect(dashboard.row(ADDRESS)).to_be_visible()
    dashboard.refusals_were_meant()


async def test_it_can_be_used_by_everybody_and_looks_as_meant(
    dashboard: Dashboard, relay: Relay, node_folder: Path
) -> None:
    """The pictures are for people: .artifacts/screenshots."""
    axe = (node_folder / "node_modules" / "axe-core" / "axe.min.js").read_text()
    page, visitor = dashboard.page, dashboard.visitor
    await relay.rest("POST", "/api/domains/shop.example")
    await relay.post(MAIL_WITH_ALL, ADDRESS)
    await dashboard.press(f"Settings of {ADDRESS}")
    for scheme in SCHEMES:
        await visitor.check_accessible(axe, scheme)
    await visitor.pictures("dashboard-2-settings", schemes=SCHEMES)
    await page.keyboard.press("Escape")
    async with relay.listen():
        for number, section in enumerate(SECTIONS, 3):
            await page.evaluate("name => location.hash = name", f"#{section}")
            await expect(page.locator("#section :is(table, article, .mail-item, .event)").first).to_be_visible()
            for scheme in SCHEMES:
                await visitor.check_accessible(axe, scheme)
            await visitor.pictures(f"dashboard-{number}-{section}", schemes=SCHEMES)
    await page.evaluate("location.hash = '#inbox'")
    await page.get_by_role("link", name="Your invoice").click()
    await expect(page.frame_locator("iframe").frame_locator("iframe").locator("body")).to_contain_text("Dear")
    for scheme in SCHEMES:
        await visitor.check_accessible(axe, scheme)
    await visitor.pictures("dashboard-9-letter", schemes=SCHEMES)
    await dashboard.press("Sign out")
    for scheme in SCHEMES:
        await visitor.check_accessible(axe, scheme)
    await visitor.pictures("dashboard-1-door", schemes=SCHEMES)
