"""What every test may use, and the one limit for all that a test waits for."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
from hypothesis import settings
from playwright.async_api import Browser

from tests import chromium, harness, node_packages, tools
from tests.examples import examples
from tests.once import made_once
from tests.redis_server import RedisServer

_TEST_SECONDS = 40.0

settings.register_profile("relay", settings(), max_examples=examples(50))  # on top of what hypothesis does in CI
settings.load_profile("relay")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """An event that never comes fails its own test, with the line that waited for it.

    pytest-timeout's signal is lost inside uvloop, so it only stands behind this for tests without a loop.
    """
    test = pyfuncitem.obj
    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def limited(*args: Any, **kwargs: Any) -> None:
            async with asyncio.timeout(_TEST_SECONDS):
                await test(*args, **kwargs)

        pyfuncitem.obj = limited
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """A fixture may lack a tool."""
    with tools.skipping(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A test may lack a tool."""
    with tools.skipping(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Says last what was skipped for want of a tool."""
    yield
    if line := tools.summary(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line, yellow=True)


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command that ran in this process has set up its logs; the next test sees them as they were."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """As in production."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One real Redis for all tests that do not break it."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def empty_redis_url(redis_server: RedisServer) -> str:
    """The real Redis, with nothing in it."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(params=["memory", "redis"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """The same cases run on the embedded store and on a real Redis."""
    return "memory://" if request.param == "memory" else str(request.getfixturevalue("empty_redis_url"))


@pytest.fixture
async def relay(
    redis_url: str, tmp_path: Path, request: pytest.FixtureRequest, anyio_backend: Any
) -> AsyncIterator[harness.Relay]:
    """A running relay; ``@pytest.mark.settings(name=value)`` overrides settings."""
    marker = request.node.get_closest_marker("settings")
    async with harness.relay(redis_url, tmp_path, **(marker.kwargs if marker else {})) as running:
        yield running


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of clients/node/package.json in its node_modules."""
    return made_once(tmp_path_factory, "node", node_packages.install)


@pytest.fixture(scope="session")
async def browser(anyio_backend: Any) -> AsyncIterator[Browser]:
    """One for all tests that look at a page."""
    async with chromium.launched() as browser:
        yield browser
