"""Behind nginx, with TLS, below a path, with the configuration of the documentation: everything works as without it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest
from playwright.async_api import Browser, expect

from relay.client.listener import listen
from tests import harness
from tests.cli.command import Running, run
from tests.harness import ADDRESS, KEY, MAIL, SECRET, Relay
from tests.nginx import nginx

pytestmark = pytest.mark.anyio

_LINK = re.compile(r"""(?:href|src)="([^"]+)"|(?:from|import) "(\./[^"']+)";""")


@dataclass(frozen=True)
class Below:
    """A relay below a path."""

    relay: Relay
    url: str  # https://127.0.0.1:…/relay
    plain_url: str
    trusted: str  # file with the certificate
    http: httpx2.AsyncClient

    async def send(self, subject: str) -> None:
        mail = f"Subject: {subject}\r\n\r\nbody\r\n".encode()
        headers = {"authorization": f"Bearer {SECRET}", "content-type": "message/rfc822", "x-envelope-to": ADDRESS}
        answer = await self.http.post(f"{self.url}/inbound/raw", content=mail, headers=headers)
        assert answer.status_code == 200


@pytest.fixture
async def below(tmp_path: Path, anyio_backend: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Below]:
    async with (
        harness.relay("memory://", tmp_path, public_url="https://relay.test/relay") as relay,
        nginx(relay.port, tmp_path) as base,
        httpx2.AsyncClient(verify=False, trust_env=False) as http,
    ):
        trusted = str(tmp_path / "cert.pem")
        monkeypatch.setenv("SSL_CERT_FILE", trusted)
        yield Below(relay, base.url, base.plain_url, trusted, http)


async def test_whatever_a_page_links_to_is_there(below: Below) -> None:
    seen: set[str] = set()
    wanted = [f"{below.url}/{path}" for path in ("", "dashboard", "docs", "letter", "dashboard/", "docs/")]
    while wanted:
        url = wanted.pop()
        if url in seen:
            continue
        seen.add(url)
        answer = await below.http.get(url)
        assert answer.status_code == 200, url
        if "/static/" in url and not url.endswith(".js"):
            continue
        for href, module in _LINK.findall(answer.text):
            link = urljoin(url, (href or module).partition("#")[0])
            if link.startswith("https://127.0.0.1"):
                assert link.startswith(f"{below.url}/"), (url, href, module)
                wanted.append(link)
    assert {f"{below.url}/static/{name}" for name in ("relay.css", "dom.js", "icons.svg", "mark.svg")} <= seen


async def test_a_page_that_is_not_there_leads_back(below: Below) -> None:
    answer = await below.http.get(f"{below.url}/a/b/c", headers={"accept": "text/html"})
    links = {urljoin(str(answer.url), link) for link in re.findall(r'(?:href|src)="([^"#]+)', answer.text)}
    assert {f"{below.url}/", f"{below.url}/dashboard", f"{below.url}/static/relay.css"} <= links


async def test_a_person_listens_on_the_test_page(below: Below, browser: Browser) -> None:
    async with await browser.new_context(ignore_https_errors=True) as context:
        page = await context.new_page()
        page.set_default_timeout(10_000)
        failed: list[str] = []
        page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
        await page.goto(f"{below.url}/")
        await page.get_by_label("Paste your API key").fill(KEY)
        await page.get_by_role("checkbox", name=ADDRESS, exact=True).wait_for()
        await page.get_by_role("button", name="Start listening").click()
        await expect(page.locator("#state")).to_have_text("Listening")
        await below.send("below a path")
        await expect(page.locator(".message-head").first).to_contain_text("below a path")
        await page.get_by_role("link", name="Dashboard").first.click()
        await expect(page).to_have_url(re.compile(r"/relay/dashboard"))
        await expect(page.get_by_role("heading", level=1).first).to_be_visible()
        await page.goto(f"{below.url}/docs")
        assert below.url in await page.locator("body").inner_text()
        assert failed == []


async def test_our_client_takes_the_base_url(below: Below) -> None:
    for url in (below.url, f"{below.url}/", f"{below.url}/incoming-messages?addresses={ADDRESS}"):
        async with listen(url, key=KEY, addresses=ADDRESS) as messages:
            await below.send(url)
            assert (await anext(messages))["subject"] == url


async def test_the_verbs_take_the_base_url(below: Below, tmp_path: Path) -> None:
    variables = {"MAILSAC_KEY": KEY, "SSL_CERT_FILE": below.trusted, "RELAY_RAW_SECRET": SECRET}
    with Running("listen", below.url, "--addresses", ADDRESS, "--count", "1", "--json", **variables) as listening:
        await asyncio.to_thread(listening.err.until, "listening")
        (tmp_path / "mail").write_bytes(MAIL)
        arguments = ["send", str(tmp_path / "mail"), "--to", ADDRESS, "--url", below.plain_url]
        sent = await asyncio.to_thread(run, *arguments, **variables)
        assert sent.returncode == 0, sent.stderr
        assert await asyncio.to_thread(listening.ended) == 0
    waited = await asyncio.to_thread(run, "wait", ADDRESS, "--url", below.plain_url, "--timeout", "5", **variables)
    assert waited.returncode == 0, waited.stderr
    told = await asyncio.to_thread(run, "activity", "--url", below.plain_url, **variables)
    assert told.returncode == 0, told.stderr


async def test_links_in_headers_lead_below_the_path(below: Below) -> None:
    url = f"{below.url}/api/addresses/{ADDRESS}/messages?wait=0"
    answer = await below.http.get(url, headers={"mailsac-key": KEY})
    links = re.findall(r"<([^>]+)>", answer.headers["link"])
    assert links
    addresses = await below.http.get(f"{below.url}/api/addresses?limit=1", headers={"mailsac-key": KEY})
    links += re.findall(r"<([^>]+)>", addresses.headers["link"])
    for link in links:
        assert urljoin(url, link).startswith(f"{below.url}/api/addresses")
        assert (await below.http.get(urljoin(url, link), headers={"mailsac-key": KEY})).status_code == 200


async def test_keepalive_of_nginx_meets_no_closed_connection(below: Below) -> None:
    """Posts with pauses that are longer than what a connection was kept for before."""
    for subject in ("first", "second"):
        await below.send(subject)
        if subject == "first":
            await asyncio.sleep(5.2)
