"""The accounts room over both stores: the one inside the process, and a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from relay import settings
from relay.accounts import Accounts
from relay.store import Store, connect
from tests.accounts.control import Control, listen


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    """An empty store."""
    store = connect(redis_url, timeout_seconds=10)
    yield store
    await store.close()


@pytest.fixture
async def accounts(store: Store) -> Accounts:
    """Accounts ann and bob, 50 credits each; mailsac.com is shared."""
    accounts = Accounts.build(store, settings.load({}, domains=("mailsac.com",)))
    await accounts.accounts.create("ann")
    await accounts.accounts.create("bob")
    return accounts


@pytest.fixture
async def control(store: Store) -> AsyncIterator[Control]:
    async with listen(store) as control:
        yield control
