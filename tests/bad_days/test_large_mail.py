"""A mail of 20 MB in the middle of small ones: all arrive, in order, and nobody is cut off."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest

from relay.delivery.letter import Gap, Letter
from relay.stream.outbox import Outbox, Phase, Verdict
from tests import harness
from tests.bad_days.listener import Listener
from tests.bad_days.posting import Poster
from tests.bad_days.tally import Tally, count
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

_MB = 1_000_000


async def scenario(server: RedisServer, folder: Path, *, large_bytes: int, mails: int) -> Tally:
    """``mails`` small ones before the large one, and as many behind it."""
    async with (
        harness.relay(server.url, folder, redis_timeout_seconds=20) as relay,
        Poster(relay.url) as poster,
        Listener(relay.url) as listener,
        Listener(relay.url) as other,
    ):
        await poster.burst(mails)
        await poster.post(body=_attachment(large_bytes))
        await poster.burst(mails)
        end = await poster.mark()
        for one in (listener, other):
            await one.has(end.token)
        return count(poster, [listener, other])


def _attachment(size_bytes: int) -> bytes:
    """Lines as a mail program writes them; compression does not make it small."""
    return base64.encodebytes(random.Random(1).randbytes(size_bytes * 3 // 4)).replace(b"\n", b"\r\n")[:size_bytes]


async def test_large_mail(server: RedisServer, tmp_path: Path) -> None:
    tally = await scenario(server, tmp_path, large_bytes=20 * _MB, mails=100)
    assert tally == Tally(202, 202, 404, 0, 0, 0)


async def test_without_room_for_one_large_mail(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all frames alike, no more than the limit may wait: who listens is cut off."""

    offer = Outbox.offer

    def offer_alike(self: Outbox, item: Letter | Gap, size_bytes: int) -> Verdict:
        too_much = self.waiting_bytes + size_bytes > self._limit_bytes
        return Verdict.TOO_SLOW if self.phase < Phase.REPLAYING and too_much else offer(self, item, size_bytes)

    monkeypatch.setattr(Outbox, "offer", offer_alike)
    assert (await scenario(server, tmp_path, large_bytes=20 * _MB, mails=5)).lost == 2 * 7
