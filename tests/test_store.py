"""The connection to Redis: one error for all its failures, bounded in time, and nothing of a URL in any text."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from relay import store
from relay.errors import ConfigError, Unavailable

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("query", ["nonsense=1", "socket_timeout=soon", "db=x"])
async def test_an_option_that_does_not_exist_is_refused_at_the_start(query: str) -> None:
    with pytest.raises(ConfigError) as caught:
        store.connect(f"redis://:hunter2@host/0?{query}", timeout_seconds=1)
    assert "hunter2" not in str(caught.value)
    assert "RELAY_REDIS_URL" in str(caught.value)


@pytest.mark.parametrize("form", ["rediss://{}", "rediss+sentinel://{}/mail", "rediss+cluster://{}"])
async def test_a_certificate_that_cannot_be_read_ends_the_start(form: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ssl_") as caught:
        store.connect(f"{form.format(':hunter2@host')}?ssl_ca_certs={tmp_path}/none.crt", timeout_seconds=1)
    assert "hunter2" not in str(caught.value)


async def test_a_server_that_never_answers_is_unavailable_after_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        silent_store = store.connect(f"redis://:hunter2@127.0.0.1:{port}", timeout_seconds=0.2)
        with pytest.raises(Unavailable) as caught:
            async with silent_store.call() as client:
                await client.ping()
        await silent_store.close()
    assert "hunter2" not in str(caught.value)


async def test_two_embedded_stores_share_nothing() -> None:
    one, two = (store.connect("memory://", timeout_seconds=1) for _ in range(2))
    async with one.call() as client:
        await client.set("key", "value")
    async with two.call() as client:
        assert await client.get("key") is None
    await one.close()
    await two.close()
