"""A page of another origin in a real browser: what it may open, what it is told, and what cookies do not do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tests.harness import ADDRESS, KEY, Relay

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).with_name("page.html")
COOKIES_PATH = "/cookies"
_CLOSED = {"event": "close", "code": 4401, "reason": "key unknown or revoked", "wasClean": True}


@dataclass
class Site:
    """Somebody else's web server on the same machine. A browser's cookies do not tell ports apart."""

    port: int

    def page(self, host: str) -> str:
        return f"http://{host}:{self.port}/"

    @property
    def cookies_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{COOKIES_PATH}"


@pytest.fixture
async def site(anyio_backend: Any) -> AsyncIterator[Site]:
    def page(connection: ServerConnection, request: Request) -> Response | None:
        if request.path == COOKIES_PATH:
            return None
        response = connection.respond(200, PAGE.read_text())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "text/html; charset=utf-8"
        return response

    async def tell_cookies(connection: ServerConnection) -> None:
        assert connection.request is not None
        await connection.send(connection.request.headers.get("Cookie", ""))

    async with serve(tell_cookies, "127.0.0.1", 0, process_request=page) as server:
        yield Site(server.sockets[0].getsockname()[1])


@dataclass
class OpenPage:
    """A page that listens, and what it saw and nobody has asked for."""

    page: Page
    events: asyncio.Queue[dict[str, Any]]

    async def listen(self, url: str, *protocols: str) -> None:
        await self.page.evaluate("listen", [url, protocols])

    async def event(self) -> dict[str, Any]:
        """The next event; a close is the last one of its socket."""
        return await self.events.get()


@asynccontextmanager
async def visit(browser: Browser, url: str, cookies: list[Any] | None = None) -> AsyncIterator[OpenPage]:
    """Opens a page in a profile of its own."""
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with await browser.new_context() as context:
        await context.add_cookies(cookies or [])
        page = await context.new_page()
        await page.expose_function("tell", events.put_nowait)
        await page.goto(url)
        yield OpenPage(page, events)


def is_refusal(event: dict[str, Any]) -> bool:
    match event:
        case {"event": "message", "data": {"status": 401, "error": str(), **others}}:
            return not others
    return False


# Same host, so that the browser sends the cookies; another port, so that it is another origin.
@pytest.mark.parametrize("protocols", [(), ("relay",)], ids=["bare", "subprotocol"])
async def test_cookies_open_nothing(
    relay: Relay, browser: Browser, site: Site, protocols: tuple[str, ...]
) -> None:
    names = ("session", "key", "_mailsacKey", "Mailsac-Key", "Authorization")
    cookies = [{"name": name, "value": KEY, "url": relay.url} for name in names]
    async with relay.listen(ADDRESS) as owner, visit(browser, site.page("127.0.0.1"), cookies) as page:
        sent = await page.page.evaluate("cookiesSent", site.cookies_url)
        assert all(f"{name}={KEY}" in sent for name in names)
        await page.listen(relay.socket_url(addresses=ADDRESS), *protocols)
        assert await page.event() == {"event": "open", "protocol": "".join(protocols)}
        await relay.send("not for other origins")
        assert await owner.subject() == "not for other origins"
        assert is_refusal(await page.event())
        assert await page.event() == _CLOSED


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_key_as_subprotocol_opens_from_any_origin(
    relay: Relay, browser: Browser, site: Site, host: str
) -> None:
    async with relay.listen(ADDRESS) as ours, visit(browser, site.page(host)) as page:
        await page.listen(relay.socket_url(addresses=ADDRESS), "relay", f"relay.key.{KEY}")
        assert await page.event() == {"event": "open", "protocol": "relay"}
        message_id = await relay.send("Grüße an den Browser")
        message = await ours.message()
        assert message["_id"] == message_id
        assert await page.event() == {"event": "message", "data": message}


async def test_the_key_in_the_query_opens_too(relay: Relay, browser: Browser, site: Site) -> None:
    async with visit(browser, site.page("localhost")) as page:
        await page.listen(relay.socket_url(addresses=ADDRESS, key=KEY))
        assert await page.event() == {"event": "open", "protocol": ""}
        message_id = await relay.send("for the page")
        assert (await page.event())["data"]["_id"] == message_id


@pytest.mark.parametrize("protocols", [(), ("relay", "relay.key.wrong")], ids=["query", "subprotocol"])
async def test_a_wrong_key_is_shown_to_the_page(
    relay: Relay, browser: Browser, site: Site, protocols: tuple[str, ...]
) -> None:
    query = {} if protocols else {"key": "wrong"}
    async with visit(browser, site.page("localhost")) as page:
        await page.listen(relay.socket_url(addresses=ADDRESS, **query), *protocols)
        assert await page.event() == {"event": "open", "protocol": protocols[0] if protocols else ""}
        assert is_refusal(await page.event())
        assert await page.event() == _CLOSED
