"""``Content-Encoding`` of a post: gzip and deflate are read within the limits, all else is 415 with what is read."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests import harness
from tests.harness import ADDRESS, MAIL, SECRET, Relay

pytestmark = pytest.mark.anyio

LIMIT_BYTES = 1024 * 1024


@pytest.fixture
async def relay(tmp_path: Path, anyio_backend: Any) -> AsyncIterator[Relay]:
    async with harness.relay("memory://", tmp_path, max_message_bytes=LIMIT_BYTES) as running:
        yield running


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CODED = {
    "gzip": ("gzip", gzip.compress(MAIL)),
    "x-gzip": ("x-gzip", gzip.compress(MAIL)),
    "in capitals": ("GZIP", gzip.compress(MAIL)),
    "two members": ("gzip", gzip.compress(MAIL[:20]) + gzip.compress(MAIL[20:])),
    "deflate": ("deflate", zlib.compress(MAIL)),
    "deflate without its header": ("deflate", raw_deflate(MAIL)),
    "identity": ("identity", MAIL),
    "nothing named": ("", MAIL),
    "gzip and identity": ("identity, gzip", gzip.compress(MAIL)),
}


async def post(relay: Relay, coding: str, body: bytes | Iterator[bytes]) -> httpx2.Response:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in [body] if isinstance(body, bytes) else body:
            yield chunk

    fixed = {"authorization": f"Bearer {SECRET}", "content-type": "message/rfc822", "x-envelope-to": ADDRESS}
    content: Any = body if isinstance(body, bytes) else chunks()
    return await relay.http.post("/inbound/raw", content=content, headers={**fixed, "content-encoding": coding})


@pytest.mark.parametrize("case", CODED)
@pytest.mark.parametrize("piece_bytes", [0, 1, 7])
async def test_what_is_read(relay: Relay, case: str, piece_bytes: int) -> None:
    coding, body = CODED[case]
    pieces = (body[at : at + piece_bytes] for at in range(0, len(body), piece_bytes)) if piece_bytes else body
    async with relay.listen() as socket:
        assert (await post(relay, coding, pieces)).status_code == 200
        assert (await socket.message())["text"] == "Hello, world.\n"


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "rot13"])
async def test_all_else_is_415_with_what_is_read(relay: Relay, coding: str) -> None:
    answer = await post(relay, coding, MAIL)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, deflate")


BROKEN = {
    "no gzip": ("gzip", MAIL),
    "cut short": ("gzip", gzip.compress(MAIL)[:-9]),
    "a wrong checksum": ("gzip", gzip.compress(MAIL)[:-8] + bytes(8)),
    "rubbish behind it": ("gzip", gzip.compress(MAIL) + b"rubbish"),
    "no deflate": ("deflate", b"\xff\xff\xff\xff"),
    "rubbish behind deflate": ("deflate", zlib.compress(MAIL) + b"rubbish"),
    "deflate cut short": ("deflate", zlib.compress(MAIL)[:-1]),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_what_cannot_be_read_is_400(relay: Relay, case: str) -> None:
    assert (await post(relay, *BROKEN[case])).status_code == 400


async def test_the_limit_is_of_what_comes_out(relay: Relay) -> None:
    head = b"Subject: x\r\n\r\n"
    assert (await post(relay, "gzip", gzip.compress(head + bytes(LIMIT_BYTES - len(head))))).status_code == 200
    assert (await post(relay, "gzip", gzip.compress(head + bytes(LIMIT_BYTES)))).status_code == 413
    bomb = gzip.compress(bytes(256 * LIMIT_BYTES))
    assert len(bomb) < LIMIT_BYTES
    assert (await post(relay, "gzip", bomb)).status_code == 413
    empty_blocks = iter([raw_deflate(b"")[:0] + b"\x00\x00\x00\xff\xff" * 20_000] * 20)  # they hold nothing
    assert (await post(relay, "deflate", empty_blocks)).status_code == 413
