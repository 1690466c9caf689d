"""HTML of a mail as it was sent, opened in a real browser: nothing runs, nothing is fetched, attached images show."""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser

from tests.api.test_content import received
from tests.harness import ADDRESS, KEY, Relay

pytestmark = pytest.mark.anyio

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==")
HOSTILE = """<title>Mail</title><base href="{url}/base/"><meta http-equiv="refresh" content="0; url={url}/refreshed">
<link rel=stylesheet href="{url}/style.css"><style>@import "{url}/import.css"; body {{ background: url({url}/b.png) }}
@font-face {{ font-family: f; src: url({url}/font) }} p {{ font-family: f }}</style>
<p>text</p><img id=attached src="cid:gif@x"><img src="{url}/pixel.png" onerror="document.title = 'ran'">
<script>document.title = "ran"</script><script src="{url}/script.js"></script><iframe src="{url}/frame"></iframe>
<svg onload="document.title = 'ran'"></svg><object data="{url}/object"></object><video src="{url}/video"></video>
<form action="{url}/form"><input autofocus onfocus="document.title = 'ran'; this.form.submit()"></form>"""


def mail(url: str) -> bytes:
    head = b"Subject: x\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
    html = b"--b\r\nContent-Type: text/html\r\n\r\n" + HOSTILE.format(url=url).encode() + b"\r\n"
    return head + html + b"--b\r\nContent-Type: image/gif\r\nContent-ID: <gif@x>\r\n\r\n" + GIF + b"\r\n--b--\r\n"


async def test_a_hostile_mail_in_a_browser(relay: Relay, browser: Browser) -> None:
    message_id = await received(relay, mail(relay.url))
    page = await browser.new_page()
    fetched: list[str] = []  # a request that the policy stops has no answer; relay has one for all that reach it
    page.on("response", lambda response: fetched.append(response.url))
    for shape in ("dirty", "body"):
        url = f"{relay.url}/api/{shape}/{ADDRESS}/{message_id}?{urlencode({'_mailsacKey': KEY})}"
        # Until the network is idle: what the page would fetch has been asked for by then.
        answer = await page.goto(url, wait_until="networkidle")
        assert answer is not None
        assert answer.status == 200
        assert [one for one in fetched if not one.startswith("data:")] == [url]
        fetched.clear()
        assert (await page.title(), await page.inner_text("p")) == ("Mail" if shape == "dirty" else "", "text")
        if shape == "dirty":
            assert await page.locator("#attached").evaluate("image => image.naturalWidth") == 1
    await page.close()
