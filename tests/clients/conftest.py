"""Clients that others wrote, run against a relay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clients.mailsac import Mailsac, client
from tests.harness import KEY, Relay
from tests.node_packages import NODE_FOLDER

__all__ = ["NODE_FOLDER", "mailsac", "redis_url"]


@pytest.fixture
def redis_url() -> str:
    """One store is enough here: a client sees no difference."""
    return "memory://"


@pytest.fixture
async def mailsac(relay: Relay, node_folder: Path) -> AsyncIterator[Mailsac]:
    """The client of ``KEY``."""
    async with client(relay, node_folder, KEY) as mailsac:
        yield mailsac
