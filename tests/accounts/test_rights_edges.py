"""Rights of keys and domains at their edges: what outlives a change of the file, and what a key with limits is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests import harness
from tests.activity.events import until
from tests.cli.command import run as here
from tests.harness import ACCOUNT, ACCOUNTS_TOML, ADDRESS, DOMAIN, OTHER_KEY

pytestmark = pytest.mark.anyio

NEAR = "us.er1@mailsac.com"  # reserved by nobody


async def test_a_domain_that_an_operator_forced_stays_when_the_file_changes(
    empty_redis_url: str, tmp_path: Path
) -> None:
    async with harness.relay(empty_redis_url, tmp_path) as relay:
        forced = ("domain", "add", ACCOUNT, "forced.example", "--force")
        ended = await asyncio.to_thread(here, *forced, RELAY_REDIS_URL=empty_redis_url)
        assert ended.returncode == 0, ended.stderr
        assert len((await relay.rest("GET", "/api/domains")).json()) == 2
    (tmp_path / "accounts.toml").write_text(f"# changed\n{ACCOUNTS_TOML}")
    async with harness.relay(empty_redis_url, tmp_path) as relay:
        names = [domain["_id"] for domain in (await relay.rest("GET", "/api/domains")).json()]
        assert names == [DOMAIN, "forced.example"]


async def test_a_key_for_one_address_hears_nothing_of_others_that_look_like_it(
    redis_url: str, tmp_path: Path
) -> None:
    path = f"/api/addresses/{ADDRESS}/near-misses"
    async with harness.relay(redis_url, tmp_path) as relay:
        bound = (await relay.rest("POST", "/api/keys", json={"address": ADDRESS})).json()["key"]
        await relay.post(harness.MAIL, NEAR)
        await until(relay, "near-miss")
        told = (await relay.rest("GET", path)).json()["otherAddresses"]
        assert [one["inbox"] for one in told] == [NEAR]
        assert (await relay.rest("GET", path, key=bound)).json()["otherAddresses"] == []


async def test_the_last_key_without_limits_stays(empty_redis_url: str, tmp_path: Path) -> None:
    async with harness.relay(empty_redis_url, tmp_path) as relay:
        made = (await relay.rest("POST", "/api/keys", key=OTHER_KEY, json={"readOnly": True})).json()
        listed = (await relay.rest("GET", "/api/keys", key=OTHER_KEY)).json()
        [last] = [key["id"] for key in listed if key["id"] != made["id"]]
        assert (await relay.rest("DELETE", f"/api/keys/{last}", key=OTHER_KEY)).status_code == 400
        assert (await relay.rest("DELETE", f"/api/keys/{made['id']}", key=OTHER_KEY)).status_code == 200
