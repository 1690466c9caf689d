"""Recent Activity from the command line: an account's over HTTP, the operator's from Redis, also through a restart."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import httpx2
import pytest

from relay.cli import exits
from tests.cli.command import Running, run
from tests.cli.conftest import Here
from tests.cli.service import ADDRESS, KEY, MAIL, OTHER_KEY, QUIET_ADDRESS, SECRET, Service
from tests.cli.test_terminal import on_terminal
from tests.redis_server import RedisServer


@pytest.fixture(scope="module")
def told(service: Service) -> Service:
    """A service in which something has happened, and is written."""
    service.post("Secret subject")
    headers = {"authorization": f"Bearer {SECRET}", "x-envelope-to": f"{QUIET_ADDRESS}, nobody@mailsac.com"}
    with httpx2.Client(base_url=service.url, verify=False, trust_env=False) as http:
        http.post("/inbound/raw", content=MAIL, headers=headers)
        http.post("/inbound/raw", content=MAIL)
        asked = {"since": "0-0", "wait": "20", "inbox": QUIET_ADDRESS}
        assert http.get("/api/activity", params=asked, headers={"mailsac-key": KEY}).json()["events"]
    return service


def test_an_account_sees_its_own(here: Here, told: Service) -> None:
    shown = here("activity", "--url", told.url, MAILSAC_KEY=KEY)
    assert (shown.returncode, shown.stderr) == (exits.DONE, "")
    lines = [line.split("\t") for line in shown.stdout.splitlines()]
    assert [line[1] for line in lines] == ["unheard", "refused"]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", line[0]) and line[2] == "" for line in lines)
    assert lines[1][3].startswith(
        f"Mail from ann@sender.test for {QUIET_ADDRESS} was refused, because forwarding is"
    )
    assert here("activity", "--url", told.url, MAILSAC_KEY=OTHER_KEY).stdout == ""
    one = here("activity", "--url", told.url, "--inbox", QUIET_ADDRESS, "--limit", "1", "--json", MAILSAC_KEY=KEY)
    [event] = map(json.loads, one.stdout.splitlines())
    assert (event["inbox"], event["reason"]) == (QUIET_ADDRESS, "forwarding off")


def test_the_operator_sees_all(here: Here, told: Service, redis: RedisServer) -> None:
    shown = here("activity", "--json", RELAY_REDIS_URL=redis.url)
    assert (shown.returncode, shown.stderr) == (exits.DONE, "")
    seen = [json.loads(line) for line in shown.stdout.splitlines()]
    whose = [(event["kind"], event.get("account")) for event in seen]
    assert sorted(whose, key=str) == sorted(
        [("unheard", "user1"), ("refused", "user1"), ("refused", None), ("refused", None)],
        key=str,
    )
    for secret in (KEY, SECRET, "Secret subject"):
        assert secret not in shown.stdout
    mine = here("activity", "--account", "user1", "--limit", "2", RELAY_REDIS_URL=redis.url)
    assert [line.split("\t")[1:3] for line in mine.stdout.splitlines()] == [
        ["unheard", "user1"],
        ["refused", "user1"],
    ]
    person = on_terminal("activity", "--limit", "1", "--inbox", ADDRESS.title(), RELAY_REDIS_URL=redis.url)
    assert re.fullmatch(rf"[-0-9]{{10}}T[:0-9]{{8}}Z  unheard         user1: Mail .* for {ADDRESS} .*\n", person)


@pytest.mark.parametrize(
    ("arguments", "key", "code", "said"),
    [
        ((), "no-such-key", exits.FAILED, "answers 401: this API key is unknown or revoked"),
        (("--follow",), "no-such-key", exits.FAILED, "answers 401"),
        (("--inbox", "nonsense"), KEY, exits.MISCONFIGURED, "'nonsense' is not a mail address"),
        (("--account", "user1"), KEY, exits.MISCONFIGURED, "a key has one account"),
        (("--limit", "1001"), KEY, exits.MISCONFIGURED, "less than or equal to 1000"),
    ],
)
def test_what_makes_no_sense_is_said(
    told: Service, here: Here, *, arguments: tuple[str, ...], key: str, code: int, said: str
) -> None:
    ended = here("activity", "--url", told.url, *arguments, MAILSAC_KEY=key)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert said in " ".join(ended.stderr.replace("│", " ").split())


def test_an_address_or_account_without_events_is_said(here: Here, told: Service, redis: RedisServer) -> None:
    for arguments, settings, of in (
        (("--url", told.url, "--inbox", "ghost@x.test"), {"MAILSAC_KEY": KEY}, "ghost@x.test"),
        (("--account", "ghost"), {"RELAY_REDIS_URL": redis.url}, "ghost"),
        (
            ("--account", "user1", "--inbox", "a@x.test"),
            {"RELAY_REDIS_URL": redis.url},
            "a@x.test in account user1",
        ),
    ):
        shown = here("activity", *arguments, **settings)
        assert (shown.returncode, shown.stdout) == (exits.DONE, "")
        assert shown.stderr == f"relay: no events of {of} are kept; is it spelt right?\n"


def test_what_is_not_there_is_said(here: Here) -> None:
    away = here("activity", "--url", "http://127.0.0.1:1", MAILSAC_KEY=KEY)
    assert (away.returncode, away.stdout) == (exits.FAILED, "")
    assert away.stderr == "relay: cannot ask http://127.0.0.1:1/api/activity: Connection refused\n"
    assert here("activity", "--url", "localhost", MAILSAC_KEY=KEY).returncode == exits.MISCONFIGURED
    embedded = run("activity")
    assert embedded.returncode == exits.MISCONFIGURED
    assert "with --url and a key" in embedded.stderr


def test_following_goes_on_through_a_restart(redis: RedisServer, tmp_path: Path) -> None:
    with Service(redis.url, tmp_path) as service:
        port = service.url.rpartition(":")[2]
        arguments = ("activity", "--follow", "--limit", "1", "--json", "--inbox", ADDRESS)
        with (
            Running(*arguments, "--url", service.url, MAILSAC_KEY=KEY) as mine,
            Running(*arguments, RELAY_REDIS_URL=redis.url) as operators,
        ):
            first = service.post("before")
            for following in (mine, operators):
                following.out.until(first)
            service.stop()
            mine.err.until("trying again")
            with Service(redis.url, tmp_path, "--port", port) as again:
                second = again.post("after")
                for following in (mine, operators):
                    following.out.until(second)
                    lines = [json.loads(line) for line in following.out.lines]
                    assert len({event["_id"] for event in lines}) == len(lines)
                    assert following.stop(signal.SIGINT) == exits.DONE
