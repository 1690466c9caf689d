"""REST over both stores, by HTTP: a service whose background tasks do not run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from relay import settings
from relay.accounts import Accounts
from relay.service.app import Service
from relay.store import Store
from tests.accounts.dns_server import DnsServer

BASE = "http://relay.test"
ANN_KEY, BOB_KEY = "the-key-of-ann-in-tests", "the-key-of-bob-in-tests"


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer() as server:
        yield server


@pytest.fixture
async def service(redis_url: str, dns: DnsServer) -> AsyncIterator[Service]:
    """On an empty store."""
    flags: dict[str, Any] = {"redis_url": redis_url, "redis_timeout_seconds": 10, "domains": "mailsac.com"}
    flags["max_refusals_per_minute"] = 100_000  # for tests of keys of any kind
    service = Service(settings.load({}, dns_servers=(dns.address,), **flags))
    yield service
    await service.store.close()


@pytest.fixture
def store(service: Service) -> Store:
    return service.store


@pytest.fixture
async def accounts(service: Service) -> Accounts:
    """Ann and bob, each with a key; mailsac.com is shared."""
    for account_id, key in (("ann", ANN_KEY), ("bob", BOB_KEY)):
        await service.accounts.accounts.create(account_id)
        await service.accounts.keys.add(account_id, key)
    return service.accounts


@pytest.fixture
def transport(service: Service, accounts: Accounts) -> httpx2.ASGITransport:
    """The app. An error that nobody answers is raised in the test."""
    return httpx2.ASGITransport(app=service.app)


@pytest.fixture
async def anonymous(transport: httpx2.ASGITransport) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without a key."""
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


@pytest.fixture
async def ann(transport: httpx2.ASGITransport) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Mailsac-Key": ANN_KEY}
    async with httpx2.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        yield client


@pytest.fixture
async def bob(transport: httpx2.ASGITransport) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Mailsac-Key": BOB_KEY}
    async with httpx2.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        yield client
