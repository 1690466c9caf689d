"""What a list of messages costs Redis, which serves everybody meanwhile: measured by Redis itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from tests import harness
from tests.harness import ADDRESS, Relay

pytestmark = pytest.mark.anyio

_LETTERS = 20
_LINKS = 60
_MOST_SECONDS = 0.05  # of one call. A pattern that is tried at every byte of these letters took 2 seconds.


async def test_a_list_of_newsletters_does_not_stop_redis(empty_redis_url: str, tmp_path: Path) -> None:
    links = "".join(f"https://news.test/{number}/{'x' * 60}\r\n" for number in range(_LINKS))
    newsletter = f"Subject: news\r\n\r\n{links}".encode()
    async with harness.relay(empty_redis_url, tmp_path) as relay:
        for _ in range(_LETTERS):
            await _accepted(relay, newsletter)
        with redis.Redis.from_url(empty_redis_url) as client:
            client.config_set("slowlog-log-slower-than", 0)
            client.slowlog_reset()
            listed = await relay.rest("GET", "/api/inbox", params={"limit": _LETTERS})
            calls = client.slowlog_get(1000)
            client.config_set("slowlog-log-slower-than", 10_000)  # Redis' default
    assert len(listed.json()["messages"]) == _LETTERS
    assert len(listed.json()["messages"][0]["links"]) == _LINKS
    scripts = [call["duration"] / 1e6 for call in calls if call["command"].startswith(b"EVAL")]
    assert scripts
    assert max(scripts) < _MOST_SECONDS


async def _accepted(relay: Relay, mail: bytes) -> None:
    answer = await relay.post(mail, ADDRESS)
    assert answer.status_code == 200, answer.text
