"""A Redis that closes connections which are quiet, as hosted ones do."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx2

from tests.cli.service import SECRET, Service
from tests.redis_server import HOST, RedisServer


def test_the_first_post_after_redis_has_closed_quiet_connections_is_stored(tmp_path: Path) -> None:
    with RedisServer() as redis, Service(redis.url, tmp_path) as service:
        service.post("first")
        with socket.create_connection((HOST, redis.port)) as admin:
            admin.sendall(b"CLIENT KILL TYPE normal SKIPME yes\r\n")  # as its `timeout` does, without the wait
            assert admin.recv(64).startswith(b":")
        headers = {"authorization": f"Bearer {SECRET}", "x-envelope-to": "user1@mailsac.com"}
        mail = b"From: a@b.test\r\nSubject: second\r\n\r\ntext\r\n"
        answer = httpx2.post(f"{service.url}/inbound/raw", content=mail, headers=headers)
        assert answer.status_code == 200, answer.text
