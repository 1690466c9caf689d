"""The attacks of the siege do what they say: each reaches the service, and a mail passes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from siege.strangers import ATTACKS, Target
from tests import harness
from tests.harness import ADDRESS, Relay

pytestmark = pytest.mark.anyio

LIGHT = [name for name in ATTACKS if not name.startswith(("JSON", "a form", "idle"))]  # others take seconds of CPU


@pytest.fixture(scope="module")
async def relay(tmp_path_factory: pytest.TempPathFactory, anyio_backend: Any) -> AsyncIterator[Relay]:
    async with harness.relay("memory://", tmp_path_factory.mktemp("siege")) as running:
        yield running


@pytest.mark.parametrize("name", LIGHT)
async def test_mail_passes_under_attack(relay: Relay, name: str) -> None:
    attack = asyncio.ensure_future(ATTACKS[name](Target("127.0.0.1", relay.port)))
    async with relay.listen() as socket:
        for number in range(3):
            await relay.send(f"mail {number}", ADDRESS)
            assert await socket.subject() == f"mail {number}"
    assert not attack.done()
    attack.cancel()
    await asyncio.wait([attack])
