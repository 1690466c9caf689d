"""REST of what is in a message: raw, headers, bodies, attachments; over both stores, by a whole relay."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping, MutableMapping
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest

from relay.api.chunked_response import ChunkedResponse, ResponseMemory, seconds_for
from relay.errors import TooManyRequests, Unavailable
from tests.harness import ADDRESS, KEY, OTHER_ADDRESS, OTHER_KEY, Relay

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
PDF = b"%PDF-1.4 \xff\xfe not a text"
EMPTY = b"\r\n\r\n"
HTML = (
    '<p style="color:red">Hi <a href="https://x.test/go">there</a></p><script>alert(1)</script>'
    '<img src="cid:logo@x"><img src="https://x.test/pixel.png"><img src=cid:none@x>'
)


def part(head: str, content: bytes) -> bytes:
    return f"--b\r\n{head}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode() + base64.encodebytes(content)


MAIL = (
    b"Received: from a\r\n\tby b\r\nReceived: from c\r\nFrom: ann@sender.test\r\nSubject: =?utf-8?Q?gr=C3=BCn?=\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + part("Content-Type: text/html; charset=utf-8", HTML.encode())
    + part("Content-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Disposition: inline", PNG)
    + part(
        'Content-Type: Application/PDF; name="x"\r\nContent-Disposition: attachment; filename="../a b.pdf"', PDF
    )
    + b"--b--\r\n"
)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def message(message_id: str, rest: str = "", inbox: str = ADDRESS) -> str:
    return f"/api/addresses/{inbox}/messages/{message_id}{rest}"


async def received(relay: Relay, mail: bytes) -> str:
    answer = await relay.post(mail, ADDRESS)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["accepted"][0]["_id"])


def assert_safe(headers: Mapping[str, str]) -> None:
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private, no-store"
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "sandbox", "frame-ancestors 'none'"} <= set(policy)
    assert "script" not in headers["content-security-policy"]


async def get(relay: Relay, path: str, **more: Any) -> httpx2.Response:
    answer = await relay.rest("GET", path, **more)
    assert answer.status_code == 200, answer.text
    assert_safe(answer.headers)
    return answer


async def test_all_that_is_shown_of_a_mail(relay: Relay) -> None:
    message_id = await received(relay, MAIL)

    raw = await get(relay, f"/api/raw/{ADDRESS}/{message_id}")
    assert (raw.content, raw.headers["content-type"]) == (MAIL, "text/plain; charset=utf-8")

    text = await get(relay, f"/api/text/{ADDRESS}/{message_id}")
    assert (text.text, text.headers["content-type"]) == ("Hi there\n", "text/plain; charset=utf-8")

    body = await get(relay, f"/api/body/{ADDRESS}/{message_id}")
    assert '<body><p style="color:red">Hi there</p></body>' in body.text
    assert body.headers["content-type"] == "text/html; charset=utf-8"

    dirty = await get(relay, f"/api/dirty/{ADDRESS}/{message_id}")
    image = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert dirty.text.strip() == HTML.replace("cid:logo@x", image)

    listed = (await get(relay, message(message_id, "/attachments"))).json()
    shown = await relay.rest("GET", message(message_id))
    assert [one["checksum"] for one in listed] == shown.json()["attachments"] == [md5(PNG), md5(PDF)]
    assert listed[1] == {
        "checksum": md5(PDF),
        "contentDisposition": "attachment",
        "contentId": "",
        "contentType": "application/pdf",
        "fileName": "a b.pdf",
        "length": len(PDF),
        "transferEncoding": "base64",
    }


async def test_attachments_by_every_name_they_have(relay: Relay) -> None:
    message_id = await received(relay, MAIL)
    for name in (md5(PDF), md5(PDF).upper(), "a b.pdf", "a%20b.pdf"):
        answer = await get(relay, message(message_id, f"/attachments/{name}"))
        assert (answer.content, answer.headers["content-type"]) == (PDF, "application/pdf")
        assert answer.headers["content-disposition"] == 'attachment; filename="a b.pdf"'
        assert answer.headers["content-length"] == str(len(PDF))
    for name in (md5(PNG), "logo@x", "<logo@x>", "logo%40x"):
        answer = await get(relay, message(message_id, f"/attachments/{name}"))
        assert (answer.content, answer.headers["content-type"]) == (PNG, "image/png")
        assert answer.headers["content-disposition"] == f'attachment; filename="attachment-{md5(PNG)[:8]}"'
    for name in (md5(b""), "../a b.pdf", "none@x", "<>", "%00", "x" * 5000, "a/b/c"):
        refused = await relay.rest("GET", message(message_id, f"/attachments/{name}"))
        assert refused.status_code == 404, name
        assert refused.json()["error"]


async def test_headers_in_three_formats(relay: Relay) -> None:
    message_id = await received(relay, MAIL)
    grouped = (await get(relay, message(message_id, "/headers"))).json()
    assert grouped["received"] == ["from a by b", "from c"]
    assert grouped["subject"] == ["=?utf-8?Q?gr=C3=BCn?="]
    assert (await get(relay, message(message_id, "/headers?messageHeadersFormat=json"))).json() == grouped
    ordered = (await get(relay, message(message_id, "/headers?messageHeadersFormat=json-ordered"))).json()
    assert [one["name"] for one in ordered] == ["received", "received", "from", "subject", "content-type"]
    assert ordered[0]["value"] == "from a by b"
    plain = await get(relay, message(message_id, "/headers?messageHeadersFormat=plain"))
    assert plain.text.startswith("Received: from a\r\n\tby b\r\nReceived: from c\r\n")
    assert plain.text.endswith("boundary=b\n")
    refused = await relay.rest("GET", message(message_id, "/headers?messageHeadersFormat=xml"))
    assert (refused.status_code, refused.json()["validationErrors"]) == (
        400,
        ["messageHeadersFormat: messageHeadersFormat is one of json, json-ordered, plain"],
    )


async def test_raw_is_what_came_to_the_byte(relay: Relay) -> None:
    for mail, charset in (
        (b"Subject: \xff\xfe\r\n\r\n\x00\x80\xff\r\rx\n", "iso-8859-1"),
        ("Subject: grün\n\n€\n".encode(), "utf-8"),
        (b"Subject: big\r\n\r\n" + bytes(range(256)) * 4096, "iso-8859-1"),
    ):
        answer = await get(relay, f"/api/raw/{ADDRESS}/{await received(relay, mail)}")
        assert answer.content == mail
        assert answer.headers["content-type"] == f"text/plain; charset={charset}"
        assert answer.headers["content-length"] == str(len(mail))


async def test_a_large_answer_is_sent_as_it_is_read(relay: Relay) -> None:
    mail = b"Subject: big\r\n\r\n" + b"line of text\r\n" * 1_500_000
    message_id = await received(relay, mail)
    headers = {"mailsac-key": KEY}
    async with relay.http.stream("GET", f"/api/raw/{ADDRESS}/{message_id}", headers=headers) as answer:
        assert (await get(relay, message(await relay.send("small"), "/attachments"))).json() == []
        assert b"".join([piece async for piece in answer.aiter_raw()]) == mail


class Reader:
    """A client that reads the first pieces, and no more."""

    def __init__(self, pieces: int) -> None:
        self.sent: list[Any] = []
        self.stuck = asyncio.Event()
        self._pieces = pieces

    async def send(self, piece: MutableMapping[str, Any]) -> None:
        self.sent.append(piece)
        if len(self.sent) == self._pieces:
            self.stuck.set()
            await asyncio.Event().wait()

    async def reads(self, size: int, unread: ResponseMemory, **limits: float) -> None:
        async def receive() -> MutableMapping[str, Any]:
            raise AssertionError("there is no body to read")

        answer = ChunkedResponse(b"x" * size, "text/plain", {}, account_id="a", unread=unread, **limits)
        await answer({"type": "http"}, receive, self.send)


@pytest.mark.parametrize("limits", [{"piece_seconds": 0.01}, {"seconds": 0.01}])
async def test_who_does_not_read_is_left(limits: dict[str, float]) -> None:
    reader = Reader(3)
    await reader.reads(1_000_000, ResponseMemory(), **limits)
    assert [len(piece.get("body", b"")) for piece in reader.sent] == [0, 65_536, 65_536]


def test_the_time_for_an_answer_grows_with_it_up_to_some_minutes() -> None:
    assert [seconds_for(size) for size in (0, 1 << 20, 1 << 30)] == [60, 76, 600]


async def test_who_is_left_holds_nothing() -> None:
    reader, unread = Reader(3), ResponseMemory(per_account=1_000_000)
    reading = asyncio.create_task(reader.reads(1_000_000, unread))
    await reader.stuck.wait()
    with pytest.raises(TooManyRequests):
        unread.check("a")
    with unread.hold("b", 900_000), pytest.raises(TooManyRequests):
        unread.check("b", 200_000)
    reading.cancel()
    await asyncio.wait([reading])
    unread.check("a", 2_000_000)  # alone, it may be larger than the limit


async def test_all_together_have_a_limit() -> None:
    unread = ResponseMemory(per_account=100, of_all=150)
    with unread.hold("a", 100):
        unread.check("b", 50)
        with pytest.raises(Unavailable):
            unread.check("b", 51)


async def test_answers_that_nobody_reads_have_a_limit(relay: Relay) -> None:
    path = f"/api/raw/{ADDRESS}/{await received(relay, b'Subject: big' + EMPTY + b'x' * 20_000_000)}"
    others = f"/api/raw/{OTHER_ADDRESS}/{await relay.send('small', OTHER_ADDRESS)}"
    async with AsyncExitStack() as unread:
        for _ in range(3):
            answer = await unread.enter_async_context(relay.http.stream("GET", path, headers={"mailsac-key": KEY}))
            assert answer.status_code == 200
        refused = await relay.rest("GET", path)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        assert refused.json()["error"].startswith("answers of 6")
        assert (await relay.rest("GET", others, key=OTHER_KEY)).status_code == 200
    # Their connections are closed; the service hears of it soon.
    while (await relay.rest("HEAD", path)).status_code == 429:
        pass


async def test_a_mail_without_html_gets_a_simple_page(relay: Relay) -> None:
    message_id = await received(relay, b"Subject: x\r\n\r\n1 < 2 <script>alert(1)</script>\r\n https://x.test\r\n")
    assert (await get(relay, f"/api/text/{ADDRESS}/{message_id}")).text.startswith("1 < 2 <script>")
    for path in ("body", "dirty"):
        shown = (await get(relay, f"/api/{path}/{ADDRESS}/{message_id}")).text
        assert "1 &lt; 2 &lt;script&gt;alert(1)&lt;/script&gt;\n https://x.test\n</pre>" in shown
    assert (await get(relay, message(message_id, "/attachments"))).json() == []


async def test_download_is_for_saving(relay: Relay) -> None:
    message_id = await received(relay, MAIL)
    for path, suffix in (("raw", ".eml"), ("text", ".txt"), ("body", ".html"), ("dirty", ".html")):
        for query, saved in (("?download=1", True), ("?download=0", False), ("", False)):
            answer = await get(relay, f"/api/{path}/{ADDRESS}/{message_id}{query}")
            disposition = f'attachment; filename="{message_id}{suffix}"' if saved else None
            assert answer.headers.get("content-disposition") == disposition
        refused = await relay.rest("GET", f"/api/{path}/{ADDRESS}/{message_id}?download=yes")
        assert (refused.status_code, refused.json()["validationErrors"]) == (400, ["download: download is 1 or 0"])


async def test_names_and_types_that_would_do_harm(relay: Relay) -> None:
    evil = (
        ('text/html; name="\\"..\\\\x\r\n\tSet-Cookie: a=b"', "text/html"),
        ("text/html\x0b<script>; name=x", "text/html"),
        ("{text}/html; name=x", "application/octet-stream"),
        ('text/plain; charset="utf-8\x01"; name=x', "text/plain"),
        ("text/csv; charset=utf-16; name=x", "text/csv; charset=utf-16"),
        ("nonsense; name=x", "text/plain"),
    )
    for kind, expected in evil:
        mail = f"From: a@b.c\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: {kind}\r\n"
        message_id = await received(relay, mail.encode() + b"\r\n<script>alert(1)</script>\r\n--b--\r\n")
        [one] = (await get(relay, message(message_id, "/attachments"))).json()
        answer = await get(relay, message(message_id, f"/attachments/{one['checksum']}"))
        assert answer.headers["content-type"] == expected
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        assert "set-cookie" not in answer.headers


async def test_an_html_bomb_is_shown_as_far_as_it_goes(relay: Relay) -> None:
    bomb = b"Subject: x\r\nContent-Type: text/html\r\n\r\n" + b"<div>" * 2_000_000
    message_id = await received(relay, bomb)
    for path in ("body", "text", "dirty"):
        await get(relay, f"/api/{path}/{ADDRESS}/{message_id}")


async def test_an_image_that_is_named_again_and_again_is_not_repeated_for_ever(relay: Relay) -> None:
    head = b"Subject: x\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
    html = b"--b\r\nContent-Type: text/html\r\n\r\n" + b"<img src=cid:a>" * 1000 + b"\r\n"
    image = b"--b\r\nContent-Type: image/gif\r\nContent-ID: <a>\r\n\r\n" + b"x" * 1_000_000 + b"\r\n--b--\r\n"
    message_id = await received(relay, head + html + image)
    shown = (await get(relay, f"/api/dirty/{ADDRESS}/{message_id}")).text
    assert shown.count("data:image/gif;base64,") == 3  # of 1.33 MB each: four times the mail
    assert shown.count("cid:a") == 1000 - 3


async def test_what_is_anothers_and_what_is_not_there(relay: Relay) -> None:
    message_id = await received(relay, MAIL)
    others = await relay.send("other", OTHER_ADDRESS)
    ends = [(f"/api/{shape}/", "") for shape in ("raw", "text", "body", "dirty")]
    ends += [("/api/addresses/", end) for end in ("/headers", "/attachments", f"/attachments/{md5(PDF)}")]
    for start, end in ends:
        between = "/messages/" if end else "/"
        for email, one, key, status in (
            (ADDRESS, message_id, OTHER_KEY, 401),
            (ADDRESS, message_id, "wrong", 401),
            (OTHER_ADDRESS, others, KEY, 401),
            (OTHER_ADDRESS, message_id, KEY, 401),
            (ADDRESS, others, KEY, 404),
            (ADDRESS, message_id[:-1] + "9", KEY, 404),
            (ADDRESS, "nonsense", KEY, 400),
            ("nonsense", message_id, KEY, 400),
            (ADDRESS, "%ff", KEY, 400),
        ):
            path = f"{start}{email}{between}{one}{end}"
            answer = await relay.rest("GET", path, key=key)
            assert answer.status_code == status, path
            assert answer.json()["error"] == answer.json()["message"]
            assert "PDF" not in answer.text
    assert (await relay.rest("PUT", f"/api/raw/{ADDRESS}/{message_id}")).status_code == 405
    assert (await relay.rest("HEAD", f"/api/raw/{ADDRESS}/{message_id}")).headers["content-length"] == str(
        len(MAIL)
    )


@pytest.mark.parametrize("kind", ["text/javascript", "application/x-javascript", "TEXT/CSS", "text/ecmascript"])
async def test_an_attachment_is_no_script_of_our_own(relay: Relay, kind: str) -> None:
    """A page may load scripts and styles from here, and what a mail brings is neither."""
    part = f"--b\r\nContent-Type: {kind}\r\nContent-Disposition: attachment\r\n\r\nalert(1)\r\n--b--\r\n"
    raw = f"Content-Type: multipart/mixed; boundary=b\r\n\r\n{part}".encode()
    message_id = (await relay.post(raw, ADDRESS)).json()["accepted"][0]["_id"]
    answer = await get(relay, message(message_id, f"/attachments/{md5(b'alert(1)')}"))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content == b"alert(1)"
