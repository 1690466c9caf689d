"""REST over both stores, by HTTP: an app of these routes alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette

from relay import api, settings
from relay.accounts import Accounts
from relay.bus import Bus
from relay.inbound.intake import Intake
from relay.mailbox import Mailbox
from relay.metrics import Metrics
from relay.parked import Parked
from relay.store import Store, connect
from tests.accounts.dns_server import DnsServer

BASE = "http://relay.test"
ANN_KEY, BOB_KEY = "the-key-of-ann-in-tests", "the-key-of-bob-in-tests"


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    """An empty store."""
    store = connect(redis_url, timeout_seconds=10)
    yield store
    await store.close()


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer() as server:
        yield server


@pytest.fixture
async def accounts(store: Store, dns: DnsServer) -> Accounts:
    """Ann and bob, each with a key; mailsac.com is shared."""
    accounts = Accounts.build(store, settings.load({}, domains=("mailsac.com",), dns_servers=(dns.address,)))
    for account_id, key in (("ann", ANN_KEY), ("bob", BOB_KEY)):
        await accounts.accounts.create(account_id)
        await accounts.keys.add(account_id, key)
    return accounts


def intake_of(store: Store) -> Intake:
    """For sample mails; nobody listens."""

    async def restore() -> bool:
        return False

    bus = Bus(store, restore=restore, keep_messages=100, keep_seconds=3600)
    return Intake(bus, Parked(store), Metrics(), max_message_bytes=1024 * 1024)


@pytest.fixture
def mailbox(store: Store) -> Mailbox:
    return Mailbox(
        store.beside(), keep_messages=1000, keep_seconds=3600, starred_messages=100, starred_bytes=2**26
    )


@pytest.fixture
def transport(store: Store, accounts: Accounts, mailbox: Mailbox) -> httpx2.ASGITransport:
    """The app. An error that nobody answers is raised in the test."""
    routes = api.routes(accounts, mailbox, intake_of(store))
    app = Starlette(routes=routes, exception_handlers=api.exception_handlers())
    return httpx2.ASGITransport(app=app)


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
