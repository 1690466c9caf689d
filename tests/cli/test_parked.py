"""Dead letters from the command line: seen, shown, retried, dropped."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis as redis_client

from relay import store
from relay.cli import exits
from relay.queues.parked import Headers, Parked
from tests.cli.command import run
from tests.cli.conftest import Here
from tests.cli.service import ADDRESS, QUIET_ADDRESS, Service
from tests.redis_server import RedisServer

RECEIVED = datetime.now(UTC) - timedelta(hours=3, minutes=10)
JSON = (("content-type", "application/json"),)
UNKNOWN = "0123456789abcdef"


def event(inbox: str = ADDRESS, **members: Any) -> bytes:
    """Mailsac's, which its parser reads: as if it had been mended since."""
    return json.dumps({"inbox": inbox, "raw": f"Subject: for {inbox}\r\n\r\n", **members}).encode()


@pytest.fixture
def settings(redis: RedisServer) -> dict[str, str]:
    with redis_client.Redis.from_url(redis.url) as client:
        for key in client.scan_iter("relay:{parked}*"):
            client.delete(key)
    return {"RELAY_REDIS_URL": redis.url}


@pytest.fixture
def park(settings: dict[str, str]) -> Callable[..., str]:
    def add(body: bytes, headers: Headers = JSON, provider: str = "mailsac") -> str:
        async def run() -> str:
            opened = store.connect(settings["RELAY_REDIS_URL"], timeout_seconds=5)
            post_id, _ = await Parked(opened).add(provider, RECEIVED, "no inbox", headers, body)
            await opened.close()
            return post_id

        return asyncio.run(run())

    return add


@pytest.fixture
def left(here: Here, settings: dict[str, str]) -> Callable[[], list[str]]:
    """The ids that are still parked."""
    return lambda: [one["id"] for one in json.loads(here("parked", "list", "--json", **settings).stdout)]


Park = Callable[..., str]
Left = Callable[[], list[str]]


def test_what_is_parked_is_listed_and_shown(here: Here, park: Park, settings: dict[str, str]) -> None:
    assert here("parked", "list", **settings).stdout == ""
    post_id = park(b"\xff\x00 body", (*JSON, ("x-envelope-to", "a@x.test")))
    listed = here("parked", "list", **settings)
    assert listed.stdout == f"{post_id}\t3 h\tmailsac\t7\tno inbox\n"
    [shown] = json.loads(here("parked", "list", "--json", **settings).stdout)
    assert shown == {
        "id": post_id,
        "provider": "mailsac",
        "received": RECEIVED.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "size_bytes": 7,
        "reason": "no inbox",
    }
    headers = here("parked", "show", post_id, "--headers", **settings).stdout
    assert json.loads(headers)["headers"] == [["content-type", "application/json"], ["x-envelope-to", "a@x.test"]]


def test_the_bytes_of_a_body_are_its_bytes(here: Here, park: Park, settings: dict[str, str]) -> None:
    post_id = park("Größe \n".encode())
    assert here("parked", "show", post_id, **settings).stdout == "Größe \n"


def test_what_can_be_read_now_is_delivered_and_gone(
    here: Here, service: Service, park: Park, left: Left, settings: dict[str, str]
) -> None:
    good, bad = park(event(_id="1")), park(b"{}")
    with service.listen("--json", "--count", "1") as listener:
        listener.err.until("connected to")
        retried = here("parked", "retry", good, **settings)
        assert (retried.returncode, retried.stderr) == (exits.DONE, "")
        assert re.fullmatch(rf"{good}: accepted for {ADDRESS}: [0-9a-f]{{16}}-\d+-\d+\n", retried.stdout)
        message = json.loads(listener.out.until("_id"))
        assert message["subject"] == f"for {ADDRESS}"
        assert datetime.fromisoformat(message["received"]) == RECEIVED.replace(
            microsecond=RECEIVED.microsecond // 1000 * 1000
        )
    assert left() == [bad]


def test_all_are_retried_and_the_worst_decides(
    here: Here, service: Service, park: Park, left: Left, settings: dict[str, str]
) -> None:
    good, quiet = park(event(_id="2")), park(event(QUIET_ADDRESS))
    retried = here("parked", "retry", "--all", **settings)
    assert retried.returncode == exits.REJECTED
    assert f"{quiet}: rejected for {QUIET_ADDRESS}: forwarding off" in retried.stdout.splitlines()
    assert left() == [quiet]  # its owner may switch it on
    bad = park(b"{}")
    retried = here("parked", "retry", "--all", "--json", **settings)
    assert retried.returncode == exits.FAILED
    outcomes = {outcome["id"]: outcome for outcome in map(json.loads, retried.stdout.splitlines())}
    assert outcomes[bad]["error"].startswith("still cannot be read: inbox is missing")
    assert outcomes[quiet]["rejected"] == [{"inbox": QUIET_ADDRESS, "reason": "forwarding off"}]
    assert left() == [quiet, bad]
    assert good not in outcomes


def test_the_same_event_is_delivered_once(
    here: Here, service: Service, park: Park, settings: dict[str, str]
) -> None:
    park(event(_id="3"))
    first = here("parked", "retry", "--all", **settings).stdout
    park(event(_id="3", more="other bytes"))
    assert here("parked", "retry", "--all", **settings).stdout.split()[-1] == first.split()[-1]


def test_what_is_dropped_is_gone(here: Here, park: Park, left: Left, settings: dict[str, str]) -> None:
    one, two, three = park(b"1"), park(b"2"), park(b"3")
    dropped = here("parked", "drop", three, one, **settings)
    assert (dropped.returncode, dropped.stdout) == (exits.DONE, f"{one} is dropped\n{three} is dropped\n")
    again = here("parked", "drop", one, two, **settings)
    assert (again.returncode, again.stdout) == (exits.FAILED, f"{two} is dropped\n")
    assert again.stderr == f"relay: {one}: nothing of this id is parked\n"
    assert left() == []


@pytest.mark.parametrize("verb", ["show", "retry", "drop"])
def test_what_is_not_there_is_said(here: Here, verb: str, settings: dict[str, str]) -> None:
    ended = here("parked", verb, UNKNOWN, **settings)
    assert (ended.returncode, ended.stdout) == (exits.FAILED, "")
    assert ended.stderr == f"relay: {UNKNOWN}: nothing of this id is parked\n"
    ended = here("parked", verb, "latest", **settings)
    assert (ended.returncode, ended.stdout) == (exits.FAILED, "")
    assert ended.stderr.startswith("relay: latest: is no id: ")


def test_a_provider_that_is_no_more_is_said(here: Here, park: Park, left: Left, settings: dict[str, str]) -> None:
    post_id = park(b"x", provider="pigeon")
    ended = here("parked", "retry", post_id, **settings)
    assert (ended.returncode, ended.stderr) == (exits.FAILED, f"relay: {post_id}: there is no provider pigeon\n")
    assert left() == [post_id]


@pytest.mark.parametrize("arguments", [(), ("--all", UNKNOWN)])
def test_retry_wants_ids_or_all(here: Here, arguments: tuple[str, ...], settings: dict[str, str]) -> None:
    assert here("parked", "retry", *arguments, **settings).returncode == exits.MISCONFIGURED


def test_a_redis_that_is_away_is_exit_code_1() -> None:
    ended = run("parked", "list", RELAY_REDIS_URL="redis://127.0.0.1:1")
    assert (ended.returncode, ended.stdout) == (exits.FAILED, "")
    assert ended.stderr.startswith("relay: Redis cannot be reached")


def test_the_embedded_store_is_nothing_to_work_on() -> None:
    ended = run("parked", "list")
    assert (ended.returncode, ended.stdout) == (exits.MISCONFIGURED, "")
    assert ended.stderr.startswith("relay: this command needs RELAY_REDIS_URL: ")
    assert "REST" not in ended.stderr
