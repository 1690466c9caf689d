"""SIGHUP: what the operator changed in files counts, nobody is dropped, and what is wrong changes nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx2
import pytest

from tests.cli.service import ADDRESS, KEY, SECRET, Service
from tests.redis_server import RedisServer

NEW_KEY = "another-key-of-user1-0123456789"
NEW_SECRET = "another-secret-of-raw-0123456789"


def _reload(service: Service) -> None:
    os.kill(service._process.pid, signal.SIGHUP)


def _post(service: Service, secret: str) -> int:
    headers = {"authorization": f"Bearer {secret}", "x-envelope-to": ADDRESS}
    with httpx2.Client(verify=False, trust_env=False) as http:
        return http.post(f"{service.url}/inbound/raw", content=b"Subject: x\r\n\r\n", headers=headers).status_code


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_changed_counts_and_nobody_is_dropped(redis: RedisServer, tmp_path: Path, workers: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    settings = {"RELAY_RAW_SECRET": "", "RELAY_RAW_SECRET_FILE": str(secret), "RELAY_WORKERS": workers}
    with Service(redis.url, tmp_path, **settings) as service, service.listen() as listening:
        listening.err.until("connected to")
        assert (_post(service, SECRET), _post(service, NEW_SECRET)) == (200, 401)
        accounts = tmp_path / "accounts.toml"
        accounts.write_text(accounts.read_text().replace(f'keys = ["{KEY}"]', f'keys = ["{KEY}", "{NEW_KEY}"]'))
        secret.write_text(NEW_SECRET)
        _reload(service)
        service.event("service.reloaded", times=int(workers))
        assert (_post(service, SECRET), _post(service, NEW_SECRET)) == (401, 200)
        with service.listen(key=NEW_KEY) as again:
            again.err.until("connected to")
        service.post_with(NEW_SECRET, "after the reload")
        listening.out.until("after the reload")
        assert service.stop() == 0


def test_a_bad_file_changes_nothing_and_says_so(redis: RedisServer, tmp_path: Path) -> None:
    with Service(redis.url, tmp_path) as service, service.listen() as listening:
        listening.err.until("connected to")
        accounts = tmp_path / "accounts.toml"
        accounts.write_text("[[accounts]\n")
        _reload(service)
        told = service.event("service.not_reloaded")
        assert "is not TOML" in told["problems"][0]
        service.post("goes on")
        listening.out.until("goes on")
        assert service.stop() == 0
