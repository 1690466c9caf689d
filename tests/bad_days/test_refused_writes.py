"""A Redis that refuses writes: who asks whether we are ready is told so, with its reason, and when it is over."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from structlog.testing import capture_logs

from tests import harness
from tests.harness import MAIL, Relay
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio


async def _readiness(relay: Relay) -> tuple[int, object, object]:
    answer = await relay.internal.get("/readyz")
    return answer.status_code, answer.json()["writes"], answer.json().get("reason")


@pytest.mark.parametrize("code", ["OOM", "READONLY"])
async def test_the_reason_is_told_while_it_lasts(tmp_path: Path, code: str) -> None:
    with RedisServer() as server, redis.Redis.from_url(server.url) as client, capture_logs() as logs:
        async with harness.relay(server.url, tmp_path, redis_probe_seconds=1) as relay:
            assert await _readiness(relay) == (200, True, None)
            if code == "OOM":
                client.config_set("maxmemory", 100_000)
            else:
                client.replicaof(
                    "127.0.0.1", server.port
                )  # its own replica: it finds no master, and takes no writes
            refused = await relay.post(MAIL)
            assert (refused.status_code, f"Redis refuses writes: {code}" in refused.text) == (503, True)
            await relay.process.service.became_unready.wait()
            assert await _readiness(relay) == (503, False, f"Redis refuses writes: {code}")
            assert "relay_redis_refuses_writes 1.0" in (await relay.internal.get("/metrics")).text
            client.config_set("maxmemory", 0)
            client.replicaof("no", "one")
            await relay.process.service.became_ready.wait()
            assert await _readiness(relay) == (200, True, None)
            assert (await relay.post(MAIL)).status_code == 200
    troubles = [line["error"] for line in logs if line["event"] == "redis.trouble"]
    assert any(code in text for text in troubles)
    assert "redis.takes_writes" in [line["event"] for line in logs]
