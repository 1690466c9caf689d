"""Who we are to Redis: the ACL rule of docs/redis.md is enough, TLS is verified, and refusals say what to mend."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import redis

from tests import harness
from tests.harness import ADDRESS, DOMAIN, KEY, MAIL, Relay
from tests.redis_kinds.dead_letters import use_dead_letters
from tests.redis_kinds.messages import use_messages
from tests.redis_kinds.servers import with_tls
from tests.redis_server import HOST, RedisServer

pytestmark = pytest.mark.anyio

DOCS = (Path(__file__).parents[2] / "docs" / "redis.md").read_text()
PASSWORD = "p@ss/w#rd"
ENCODED = "p%40ss%2Fw%23rd"


def documented_rule() -> list[str]:
    [line] = re.findall(r"^ACL SETUSER .*$", DOCS, re.MULTILINE)
    return shlex.split(line.replace("PASSWORD", PASSWORD))


def only_our_user(client: redis.Redis) -> None:
    """As the docs say, and nobody else may do anything."""
    client.execute_command(*documented_rule())  # type: ignore[no-untyped-call]
    client.execute_command("ACL SETUSER", "default", "off")  # type: ignore[no-untyped-call]


async def use_everything(relay: Relay) -> None:
    async with relay.listen(f"{ADDRESS},{DOMAIN}") as socket, relay.listen(key=f"second-{KEY}") as other:
        await relay.send("small")
        assert [await socket.subject(), await other.subject()] == ["small", "small"]
        large = b"Subject: large\r\n\r\n" + b"x" * 100_000
        assert (await relay.post(large, ADDRESS)).status_code == 200  # read from the letterbox
        assert await socket.subject() == "large"
        new = f"new@{DOMAIN}"
        await relay.send("to the domain", new)
        assert await socket.subject() == "to the domain"
        for method, path, status in (
            ("POST", f"/api/addresses/{new}", 200),
            ("PUT", f"/api/addresses/{new}", 200),
            ("GET", "/api/addresses", 200),
            ("DELETE", f"/api/addresses/{new}", 200),
            ("POST", "/api/domains/other.example", 200),
            ("GET", "/api/domains", 200),
            ("DELETE", "/api/domains/other.example", 200),
            ("GET", "/api/activity?limit=1", 200),
            ("GET", "/api/activity?since=0-0&wait=30", 200),  # when the first is written
        ):
            answer = await relay.rest(method, path, json={"info": "x"} if method == "PUT" else None)
            assert answer.status_code == status, (method, path, answer.text)
        await use_dead_letters(relay.process.service.store)
        await use_messages(relay, f"messages@{DOMAIN}")
        for subject in ("starred", "deleted", "other", "live"):
            assert await socket.subject() == subject
        await relay.process.service.accounts.keys.revoke("user1", f"second-{KEY}")
        assert json.loads(await other.connection.recv(decode=True))["subject"] == "large"
        assert json.loads(await other.connection.recv())["status"] == 401


async def test_the_documented_rule_is_enough(tmp_path: Path) -> None:
    with RedisServer(persistent=True) as server, redis.Redis.from_url(server.url) as operator:
        only_our_user(operator)
        url = f"redis://relay:{ENCODED}@{HOST}:{server.port}/1"
        async with harness.relay(url, tmp_path, redis_wait_replicas=0) as relay:
            await use_everything(relay)
        denied = [(entry["object"], entry["context"]) for entry in operator.acl_log()]
        assert denied == []


async def test_without_info_all_works_but_the_term(tmp_path: Path) -> None:
    with RedisServer() as server, redis.Redis.from_url(server.url) as operator:
        operator.execute_command(*documented_rule(), "-info")
        async with harness.relay(f"redis://relay:{ENCODED}@{HOST}:{server.port}/0", tmp_path) as relay:
            await use_everything(relay)
        assert operator.get("relay:history") is None


async def test_a_wrong_password_is_told_without_it_and_without_the_host(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with RedisServer() as server, redis.Redis.from_url(server.url) as operator:
        operator.execute_command(*documented_rule())
        url = f"redis://relay:hunter2@{HOST}:{server.port}/0"
        async with harness.relay(url, tmp_path, until_ready=False) as relay:
            answer = await relay.post(MAIL, ADDRESS)
            again = await relay.rest("GET", "/api/addresses")
        assert (answer.status_code, again.status_code) == (503, 503)
        assert answer.json()["error"] == "Redis refuses our password or user (RELAY_REDIS_URL)"
        logged = "".join(capfd.readouterr())
        assert "hunter2" not in answer.text + logged
        assert HOST not in answer.text
        assert len(re.findall(rf"redis\.trouble.*{HOST}:{server.port}", logged)) == 1


async def test_tls(tmp_path: Path) -> None:
    with with_tls(tmp_path) as (server, port, authority), redis.Redis.from_url(server.url) as operator:
        only_our_user(operator)
        url = f"rediss://relay:{ENCODED}@{HOST}:{port}/0"
        async with harness.relay(f"{url}?ssl_ca_certs={authority}", tmp_path) as relay:
            await use_everything(relay)
        async with harness.relay(url, tmp_path, until_ready=False) as stranger:
            answer = await stranger.post(MAIL, ADDRESS)
        assert answer.status_code == 503
        assert "TLS" in answer.json()["error"]
