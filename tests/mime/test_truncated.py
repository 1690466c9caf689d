"""What is cut is said: in the message, with counts, and so in every list and reference."""

from __future__ import annotations

import pytest

from relay import mime
from relay.message import Cut
from tests.harness import ADDRESS, Relay

pytestmark = pytest.mark.anyio

_PART = b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n"


def _recipients(count: int) -> bytes:
    return b",\r\n ".join(b"Somebody <user%06d@example.com>" % number for number in range(count))


def _mail(*, to: int = 1, cc: int = 0, parts: int = 1, fields: int = 0, links: int = 0) -> bytes:
    return b"".join(
        [
            b"To: %b\r\n" % _recipients(to),
            b"Cc: %b\r\n" % _recipients(cc) if cc else b"",
            b"".join(b"X-%d: 1,\r\n 2\r\n" % number for number in range(fields)),
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n",
            b"--b\r\n\r\n",
            b"".join(b"http://example.com/%d\r\n" % number for number in range(links)),
            _PART * parts,
            b"--b--\r\n",
        ]
    )


async def test_a_listener_is_told_what_is_cut(relay: Relay) -> None:
    async with relay.listen() as socket:
        await relay.post(_mail(to=9_000, parts=3_000), ADDRESS)
        message = await socket.message()
    cut = {one["what"]: one for one in message["truncated"]}
    assert set(cut) == {"to", "attachments"}
    assert (cut["to"]["kept"], cut["to"]["of"]) == (len(message["to"]), 9_000)
    assert 2_000 < len(message["to"]) < 4_000
    assert (cut["attachments"]["kept"], cut["attachments"]["of"]) == (len(message["attachments"]), 3_000)
    [listed] = (await relay.rest("GET", f"/api/addresses/{ADDRESS}/messages")).json()
    assert listed["truncated"] == message["truncated"]


async def test_a_whole_mail_says_nothing(relay: Relay) -> None:
    async with relay.listen() as socket:
        await relay.post(_mail(to=500, cc=3, parts=900, fields=100, links=100), ADDRESS)
        assert "truncated" not in await socket.message()


@pytest.mark.parametrize(
    ("raw", "cuts"),
    [
        (_mail(fields=12_000), [Cut("headers", 10_000, 12_002)]),
        (_mail(cc=5_000, parts=0), [Cut("cc", 2_925, 5_000)]),
        (_mail(links=1_500), [Cut("links", 1_000, 1_500)]),
        (_mail(parts=999), []),
        (_mail(parts=1_000), [Cut("attachments", 999, 1_000)]),
        (b"Subject: " + b"a" * 150_000 + b"\r\n\r\n", [Cut("subject", 102_400, 150_000)]),
        (b"To: a@x.test\r\n" * 2 + b"To: " + _recipients(4_000) + b"\r\n\r\n", [Cut("to", 2_927, 4_002)]),
        (b"To: " + b"a" * 200_000 + b"@x.test\r\n\r\n", [Cut("to", 0, 1)]),
    ],
)
def test_every_cut_is_counted(raw: bytes, cuts: list[Cut]) -> None:
    assert list(mime.parse(raw).truncated) == cuts
