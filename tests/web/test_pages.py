"""The pages as HTTP gives them out: what protects them, what they are made of, and that the wheel holds them all."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, expect
from starlette.applications import Starlette

from relay import web
from tests.harness import Relay
from tests.web.conftest import visit

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent.parent
FILES = ROOT / "relay" / "web"
STATIC = sorted(path.name for path in (FILES / "static").iterdir())
HTML = sorted((FILES / "pages").glob("*.html"))
PAGES = sorted(route.path for route in web.routes() if "{" not in route.path)
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", re.IGNORECASE)
ANOTHER_HOST = re.compile(
    r"""(?:src|href)\s*=\s*["'](?:https?:)?//|url\(["']?(?:https?:)?//|@import\s+["'u]|from ["']http"""
)


@pytest.fixture
async def http(anyio_backend: Any) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=Starlette(routes=web.routes()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://relay.test") as client:
        yield client


@pytest.mark.parametrize("path", [*PAGES, *(f"/static/{name}" for name in STATIC)])
async def test_everything_is_given_out_with_its_armour_and_once(http: httpx2.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy or path == "/letter"
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers
    again = await http.get(path, headers={"if-none-match": f'"other", W/{answer.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == policy


@pytest.mark.parametrize("path", [path for path in PAGES if path != "/letter"])
async def test_a_page_is_in_nobodys_frame(http: httpx2.AsyncClient, path: str) -> None:
    headers = (await http.get(path)).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("name", ["none.js", "..%2fpages.py", "%2e%2e/pages.py", "../pages/test.html", ""])
async def test_what_is_no_file_of_ours_is_not_found(http: httpx2.AsyncClient, name: str) -> None:
    assert (await http.get(f"/static/{name}")).status_code == 404


@pytest.mark.parametrize("path", ["dashbord", "dash/bo/rd/", "nobody/"])
async def test_a_browser_that_is_lost_is_led_back(relay: Relay, browser: Browser, path: str) -> None:
    async with visit(browser, f"{relay.url}/{path}") as visitor:
        await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("There is no such page")
        links = visitor.page.locator("main a")
        hrefs = [await link.evaluate("link => link.href") for link in await links.all()]
        assert hrefs == [f"{relay.url}/", f"{relay.url}/dashboard", f"{relay.url}/docs"]
        await visitor.pictures("missing", schemes=("dark", "light"))
        visitor.complaints.clear()  # of the 404


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/dashbord", "text/html,*/*;q=0.8", "text/html"),
        ("/dashbord", "*/*", "text/plain"),
        ("/api/dashbord", "text/html", "application/json"),
        ("/inbound/none", "text/html", "application/json"),
        ("/static/none.js", "text/html", "text/plain"),
    ],
)
async def test_only_a_browser_gets_a_page_for_what_is_not_there(
    relay: Relay, path: str, accept: str, kind: str
) -> None:
    answer = await relay.http.get(path, headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (404, kind)
    if kind == "text/html":
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "etag" not in answer.headers
    else:
        said = (
            "there is no provider none"
            if path.startswith("/inbound/")
            else "there is no such path; README.md lists"
        )
        assert said in answer.text


@pytest.mark.parametrize("path", HTML, ids=lambda path: path.name)
def test_html_has_nothing_inline(path: Path) -> None:
    assert not INLINE.search(path.read_text())


@pytest.mark.parametrize("path", [*HTML, *(FILES / "static").iterdir()], ids=lambda path: path.name)
def test_nothing_is_loaded_from_another_host(path: Path) -> None:
    assert not ANOTHER_HOST.search(path.read_text())


def test_all_pages_have_the_same_head_bar() -> None:
    bars = [re.findall(r'<a class="skip".*?</header>', path.read_text(), re.DOTALL) for path in HTML]
    assert len({bar[0] for bar in bars if bar}) == 1


def test_the_wheel_holds_every_file(tmp_path: Path) -> None:
    build = "import sys; from flit_core.buildapi import build_wheel; print(build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    names = set(zipfile.ZipFile(tmp_path / built.stdout.split()[-1]).namelist())
    assert {
        str(path.relative_to(ROOT)) for folder in ("pages", "static") for path in (FILES / folder).iterdir()
    } <= names
