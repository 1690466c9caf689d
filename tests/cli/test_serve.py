"""The service as a process: what it says at the start, what it never says, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from relay.cli import exits
from tests.cli.command import Running, run
from tests.cli.conftest import Here
from tests.cli.service import ADDRESS, KEY, SECRET, Service
from tests.redis_server import RedisServer


def events(service: Running, name: str = "") -> list[dict[str, Any]]:
    """All log events so far, each line parsed."""
    parsed = [json.loads(line) for line in service.err.lines]
    return [event for event in parsed if name in ("", event["event"])]


def test_it_tells_its_real_address_and_stops_on_sigterm() -> None:
    with Running("serve", "--port", "0", "--internal-port", "0") as service:
        listening = service.event("service.listening")
        service.event("store.embedded")
        internal = listening["internal_url"]
        assert run("check", "--url", internal).stdout == f"{internal}/livez answers: alive\n"
        assert run("check", "--url", listening["url"]).returncode == exits.FAILED
        assert (
            run("check", RELAY_PORT="1", RELAY_INTERNAL_PORT=internal.rpartition(":")[2]).returncode == exits.DONE
        )
        assert service.stop() == exits.DONE
    assert service.out.text == ""
    assert [event["event"] for event in events(service)][-2:] == ["service.leaving", "service.stopped"]


def test_sigint_ends_it_too_and_flags_win_over_the_environment() -> None:
    with Running(
        "serve", "--port", "0", "--log-format", "json", RELAY_PORT="1", RELAY_LOG_FORMAT="console"
    ) as service:
        service.event("service.started")
        assert service.stop(signal.SIGINT) == exits.DONE


def test_an_old_name_of_a_setting_is_taken_with_a_warning() -> None:
    with Running("serve", "--port", "0", "--log-format", "json", RELAY_FRAMES="envelope") as service:
        warned = service.event("setting.renamed")
        assert (warned["level"], warned["setting"]) == ("warning", "RELAY_FRAMES")
        assert "RELAY_DEFAULT_FRAMES" in warned["hint"]
        assert service.stop() == exits.DONE


def test_every_wrong_setting_is_named_on_a_line() -> None:
    refused = run(
        "serve", "--workers", "0", RELAY_PROT="1", RELAY_DEFAULT_FRAMES="xml", RELAY_REDIS_URL="http://user:pa55@h"
    )
    assert refused.returncode == exits.MISCONFIGURED
    assert refused.stdout == ""
    unknown, *wrong = refused.stderr.splitlines()
    assert unknown == "relay: RELAY_PROT is not a setting; do you mean RELAY_PORT?"
    assert [line.split(": ")[:2] for line in wrong] == [
        ["relay", name] for name in ("RELAY_WORKERS", "RELAY_REDIS_URL", "RELAY_DEFAULT_FRAMES")
    ]
    assert "pa55" not in refused.stderr


def test_a_wrong_accounts_file_names_every_line_and_no_key(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text('[[accounts]]\nid = "user1"\nkeys = ["a key of words"]\nname = "x"\n')
    with Running("serve", "--port", "0", "--accounts-file", str(file)) as refused:
        assert refused.ended() == exits.MISCONFIGURED
    problems = [line for line in refused.err.lines if line.startswith("relay: ")]
    assert len(problems) == 2
    assert "a key of words" not in refused.err.text


def test_a_taken_port_is_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run("serve", "--port", str(port))
    assert refused.returncode == exits.MISCONFIGURED
    assert refused.stderr == f"relay: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


def test_no_key_no_secret_and_no_mail_reaches_the_logs(redis: RedisServer, tmp_path: Path) -> None:
    token = "wrong-token-0123456789"
    mail = b"Subject: private-subject\r\n\r\nprivate-text\r\n"
    with Service(redis.url, tmp_path, "--log-level", "debug") as service:
        socket_url = f"{service.url.replace('http', 'ws')}/incoming-messages?key={KEY}&addresses={ADDRESS}"
        with connect(socket_url, proxy=None) as client:
            posted = f"{service.url}/inbound/raw?to={ADDRESS}&token="
            with httpx2.Client(verify=False, trust_env=False) as http:
                assert http.post(posted + SECRET, content=mail).json()["accepted"]
                assert http.post(posted + token, content=mail).status_code == 401
                assert http.post(posted + SECRET, content=b"\0private-text").status_code == 400
                assert http.get(f"{service.url}/api/addresses?_mailsacKey={KEY}").status_code == 200
                assert http.get(f"{service.url}/api/addresses?_mailsacKey={token}").status_code == 401
            assert "private-text" in str(client.recv())
        with connect(socket_url.replace(KEY, token), proxy=None) as client:
            assert "unknown" in str(client.recv())
        with pytest.raises(InvalidStatus), connect(socket_url.replace("incoming-messages", token), proxy=None):
            pass
        assert service.stop() == exits.DONE
    assert {"inbound.taken", "inbound.refused", "socket.open", "socket.refused"} <= {
        e["event"] for e in events(service)
    }
    assert not [event for event in events(service) if event["level"] == "error" or "ASGI" in event["event"]]
    for private in (KEY, SECRET, token, "private-subject", "private-text"):
        assert private not in service.err.text + service.out.text


def test_a_redis_that_is_away_is_no_reason_to_end(tmp_path: Path) -> None:
    with Running("serve", "--port", "0", RELAY_REDIS_URL="redis://127.0.0.1:1") as service:
        url = service.event("service.listening")["url"]
        service.event("bus.lost")
        assert run("check", "--url", url).returncode == exits.DONE
        unready = run("check", "--ready", "--url", url)
        assert unready.returncode == exits.FAILED
        assert unready.stderr == f"relay: {url}/readyz answers 503: not ready: redis\n"
        assert service.stop() == exits.DONE


def test_two_workers_serve_on_one_redis_and_stop(redis: RedisServer, tmp_path: Path) -> None:
    with Service(redis.url, tmp_path, "--workers", "2") as service:
        service.event("service.started", times=2)
        with service.listen("--count", "8") as listening:
            listening.err.until("connected to")
            for number in range(8):
                service.post(f"Number {number}")
            assert listening.ended() == exits.DONE
        assert service.stop() == exits.DONE
    assert len(events(service, "service.stopped")) == 2
    assert [line[-1] for line in listening.out.lines] == list("01234567")


def test_a_worker_that_dies_at_once_ends_the_whole(redis: RedisServer, tmp_path: Path) -> None:
    with Service(redis.url, tmp_path, "--workers", "2") as service:
        service.event("service.started", times=2)
        os.kill(events(service, "worker.started")[0]["pid"], signal.SIGKILL)
        assert service.ended(within_seconds=10) == exits.FAILED
    [ended] = events(service, "worker.ended")
    assert ended["exit_code"] == -signal.SIGKILL


def test_a_worker_that_dies_later_is_replaced(redis: RedisServer, tmp_path: Path) -> None:
    with Service(redis.url, tmp_path, "--workers", "2") as service:
        service.event("service.started", times=2)
        with service.listen("--timeout", "5") as clock:  # a worker has to live that long to be worth another
            assert clock.ended() == exits.TIMED_OUT
        killed = events(service, "worker.started")[0]["pid"]
        os.kill(killed, signal.SIGKILL)
        assert service.event("worker.ended")["pid"] == killed
        service.event("service.started", times=3)
        service.post("Served by those who live")
        assert service.stop() == exits.DONE
    pids = [event["pid"] for event in events(service, "worker.started")]
    assert len(set(pids)) == 3


def test_workers_that_are_told_to_stop_while_they_start_do(redis: RedisServer) -> None:
    with Running("serve", "--workers", "8", RELAY_PORT="0", RELAY_REDIS_URL=redis.url) as service:
        service.event("worker.started")
        assert service.stop() == exits.DONE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_ends_workers_gracefully(
    redis: RedisServer, tmp_path: Path, number: signal.Signals
) -> None:
    """As a terminal sends Ctrl-C, and systemd SIGTERM: each worker gets it, and hears it from the parent again."""
    with Service(redis.url, tmp_path, "--workers", "2") as service, contextlib.ExitStack() as open_sockets:
        service.event("service.started", times=2)
        url = f"{service.url.replace('http', 'ws')}/incoming-messages?key={KEY}&addresses={ADDRESS}"
        sockets = [open_sockets.enter_context(connect(url, proxy=None)) for _ in range(30)]
        assert service.stop(number, group=True) == exits.DONE
        for client in sockets:
            assert json.loads(client.recv())["status"] == 503
            with pytest.raises(ConnectionClosed) as closed:
                client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
    assert len(events(service, "service.stopped")) == 2
    assert not [event for event in events(service) if event["level"] == "error"]


def test_workers_end_when_their_parent_is_killed(redis: RedisServer, tmp_path: Path) -> None:
    with Service(redis.url, tmp_path, "--workers", "2") as service:
        service.event("service.started", times=2)
        assert service.stop(signal.SIGKILL) == -signal.SIGKILL  # standard error ends with the last of them
    assert len(events(service, "worker.orphaned")) == len(events(service, "service.stopped")) == 2


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "127.0.0.1:8000", "http://127.0.0.1:x", "http://[", "http://a..b"]
)
def test_a_check_that_fails_is_exit_code_1_and_one_line(here: Here, url: str) -> None:
    failed = here("check", "--url", url)
    assert (failed.returncode, failed.stdout) == (exits.FAILED, "")
    assert len(failed.stderr.splitlines()) == 1


@pytest.mark.parametrize("settings", [{"RELAY_PORT": "0"}, {"RELAY_PORT": "x"}, {"RELAY_NONSENSE": "1"}])
def test_a_check_with_wrong_settings_is_exit_code_1_too(here: Here, settings: dict[str, str]) -> None:
    assert here("check", **settings).returncode == exits.FAILED


def test_strangers_see_no_metrics_and_no_reasons(redis: RedisServer, tmp_path: Path) -> None:
    with (
        Service(redis.url, tmp_path, RELAY_METRICS_NETWORKS="203.0.113.0/24, 2001:db8::1") as service,
        httpx2.Client(base_url=service.url) as http,
    ):
        for client, may in (("", True), ("203.0.113.7", True), ("2001:db8::1", True), ("198.51.100.1", False)):
            from_there = {"x-forwarded-for": client} if client else {}
            metrics, readyz = [http.get(path, headers=from_there) for path in ("/metrics", "/readyz")]
            assert metrics.status_code == (200 if may else 403)
            assert ("relay_" in metrics.text, "redis" in readyz.json()) == (may, may)
            assert (readyz.status_code, readyz.json()["ready"]) == (200, True)


def test_networks_that_are_none_are_refused() -> None:
    ended = run("serve", RELAY_METRICS_NETWORKS="10.0.0.0/8, the office")
    assert ended.returncode == 2
    assert "RELAY_METRICS_NETWORKS" in ended.stderr
