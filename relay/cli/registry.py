"""The Redis of a service, and the accounts in it, opened for one command by the service's own RELAY_* settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from relay import logs, settings, store
from relay.accounts import Accounts
from relay.errors import ConfigError
from relay.settings import Settings
from relay.store import Store

Result = TypeVar("Result")


def ask(question: Callable[[Accounts], Awaitable[Result]]) -> Result:
    """What ``question`` returns. Raises ConfigError, Unavailable, and what the accounts raise."""
    instead = "; use the REST API of that process instead"
    return on_redis(lambda opened, loaded: question(Accounts.build(opened, loaded)), instead=instead)


def on_redis(question: Callable[[Store, Settings], Awaitable[Result]], *, instead: str = "") -> Result:
    """What ``question`` returns of the service's Redis; ``instead`` tells what to do where there is none.

    Raises ConfigError, Unavailable, and what the question raises.
    """
    loaded = settings.load()
    logs.configure("console", "error")  # what goes wrong is one line of this command, not of a log
    if loaded.embedded:
        problem = "this command needs RELAY_REDIS_URL: the embedded store lives, and ends, in the serving process"
        raise ConfigError([problem + instead])

    async def run() -> Result:
        opened = store.connect(
            loaded.redis_url.get_secret_value(),
            timeout_seconds=loaded.redis_timeout_seconds,
            wait_replicas=loaded.redis_wait_replicas,
        )
        try:
            return await question(opened, loaded)
        finally:
            await opened.close()

    return asyncio.run(run())


def iso(unix_ms: int) -> str:
    """ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(unix_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
