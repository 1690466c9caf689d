"""A listener over its life: mail, refusals, restarts, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from relay.cli import exits
from tests.cli.command import RELAY, ROOT, Running, environment, run
from tests.cli.conftest import Here
from tests.cli.service import ADDRESS, KEY, OTHER_ADDRESS, OTHER_KEY, QUIET_ADDRESS, Service
from tests.redis_server import RedisServer


def test_each_message_is_a_json_object_on_a_line(service: Service) -> None:
    with service.listen("--json", "--count", "2") as listening:
        listening.err.until("connected to ws://")
        posted = [service.post(subject) for subject in ("First", "Zweite – ü")]
        assert listening.ended() == exits.DONE
    messages = [json.loads(line) for line in listening.out.lines]
    assert [message["subject"] for message in messages] == ["First", "Zweite – ü"]
    assert [message["_id"] for message in messages] == posted
    assert KEY not in listening.err.text


def test_a_person_reads_a_line_that_commands_no_terminal(service: Service) -> None:
    with service.listen("--count", "1") as listening:
        listening.err.until("connected to")
        service.post("=?utf-8?q?Red_=1b[31m_and_=e2=80=ae_reversed?=")
        assert listening.ended() == exits.DONE
    [line] = listening.out.lines
    time, _, rest = line.partition("  ")
    assert len(time.split(":")) == 3
    assert rest == f"Ann <ann@sender.test> → {ADDRESS}  Red \ufffd[31m and \ufffd reversed"


def test_a_pasted_url_is_enough(service: Service) -> None:
    url = f"{service.url.replace('http', 'ws')}/incoming-messages?_id=user1&key={KEY}&addresses={ADDRESS}"
    with Running("listen", url, "--count", "1", MAILSAC_KEY="another-key-of-this-shell") as listening:
        listening.err.until("connected to")
        service.post("Pasted")
        assert listening.ended() == exits.DONE
    assert listening.out.text.endswith("  Pasted")


@pytest.mark.parametrize(
    ("key", "addresses", "sentence"),
    [
        ("no-such-key-0123456789", ADDRESS, "this API key is unknown or revoked (close code 4401)"),
        (KEY, OTHER_ADDRESS, f"{OTHER_ADDRESS}: not reserved by this account (close code 4403)"),
        (KEY, QUIET_ADDRESS, f"{QUIET_ADDRESS}: forwarding is off"),
        (KEY, "not an address@", "addresses: "),
    ],
)
def test_what_the_server_will_never_allow_is_exit_code_5(
    here: Here, service: Service, key: str, addresses: str, sentence: str
) -> None:
    ended = here("listen", service.url, "--addresses", addresses, MAILSAC_KEY=key)
    assert ended.returncode == exits.REFUSED
    assert ended.stderr.startswith(f"relay: {sentence}")  # and did not claim before that it listens
    assert key not in ended.stderr


def test_a_path_that_is_no_relay_is_exit_code_5(here: Here, service: Service) -> None:
    url = f"{service.url}/elsewhere"
    ended = here("listen", url, "--addresses", ADDRESS, MAILSAC_KEY=KEY)
    assert ended.returncode == exits.REFUSED
    assert "/elsewhere/incoming-messages answers 404" in ended.stderr


def test_a_key_revoked_while_listening_is_exit_code_5(service: Service) -> None:
    added = run("key", "add", "user2", "--json", **service.settings)
    new = json.loads(added.stdout)
    with service.listen(key=new["key"], addresses=OTHER_ADDRESS) as listening:
        listening.err.until("connected to")
        assert run("key", "revoke", "user2", new["id"], **service.settings).returncode == 0
        assert listening.ended() == exits.REFUSED
    assert "relay: this API key is unknown or revoked (close code 4401)" in listening.err.lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_clean_end(service: Service, number: signal.Signals) -> None:
    with service.listen() as listening:
        listening.err.until("connected to")
        assert listening.stop(number) == exits.DONE
    assert len(listening.err.lines) == 1


def test_a_timeout_counts_what_came(service: Service) -> None:
    with service.listen("--count", "2", "--timeout", "3") as too_few, service.listen("--timeout", "3") as enough:
        too_few.err.until("connected to")
        enough.err.until("connected to")
        service.post("One")
        assert too_few.ended() == exits.TIMED_OUT
        assert enough.ended() == exits.DONE
    assert too_few.err.lines[-1] == "relay: 1 of 2 messages came in 3 s"
    assert too_few.out.text.endswith("  One")


def test_a_reader_that_goes_away_is_a_clean_end(service: Service) -> None:
    arguments = ("listen", service.url, "--addresses", ADDRESS)
    for flags in ((), ("--json",)):
        listening = subprocess.Popen(
            [*RELAY, *arguments, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=environment({"MAILSAC_KEY": KEY}),
        )
        assert listening.stdout is not None
        assert listening.stderr is not None
        assert b"connected to" in listening.stderr.readline()
        listening.stdout.close()
        service.post("Unread")
        assert listening.stderr.read() == b""
        assert listening.wait(10) == exits.DONE
        listening.stderr.close()


def test_it_comes_back_when_the_service_does(redis: RedisServer, tmp_path: Path) -> None:
    with Service(redis.url, tmp_path) as first, first.listen() as listening:
        listening.err.until("connected to")
        assert first.stop() == 0
        listening.err.until("this process is leaving; connect again (close code 1012); connecting again in ")
        listening.err.until("Connection refused; connecting again in ")
        port = str(urlsplit(first.url).port)
        with Service(redis.url, tmp_path, "--port", port) as second:
            listening.err.until("connected to", times=2)
            second.post("After the restart")
            listening.out.until("  After the restart")
            assert listening.stop() == exits.DONE


def test_no_reconnect_is_exit_code_1(redis: RedisServer, tmp_path: Path) -> None:
    with Service(redis.url, tmp_path) as service, service.listen("--no-reconnect") as listening:
        listening.err.until("connected to")
        assert service.stop() == 0
        assert listening.ended() == exits.FAILED
    assert listening.err.lines[-1] == "relay: this process is leaving; connect again (close code 1012)"


def test_who_was_refused_too_often_waits(redis: RedisServer, tmp_path: Path) -> None:
    with Service(redis.url, tmp_path, RELAY_MAX_REFUSALS_PER_MINUTE="1") as service:
        with service.listen(key="no-such-key-0123456789") as guessing:
            assert guessing.ended() == exits.REFUSED
        with service.listen("--timeout", "1", key="neither-this-key-0123456789") as waiting:
            waiting.err.until("wait a minute, or give a valid one; connecting again in 6")
            assert waiting.ended() == exits.TIMED_OUT


def test_no_redirect_takes_the_key_elsewhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as elsewhere:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}"
        other = f"ws://127.0.0.1:{elsewhere.getsockname()[1]}/incoming-messages"
        with Running("listen", url, "--addresses", ADDRESS, MAILSAC_KEY=KEY) as listening:
            connection, _ = server.accept()
            with connection:
                request = connection.recv(65536)
                answer = f"HTTP/1.1 302 Found\r\nLocation: {other}\r\nContent-Length: 0\r\n\r\n"
                connection.sendall(answer.encode())
            assert listening.ended() == exits.REFUSED
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    line, _, headers = request.decode().partition("\r\n")
    assert KEY not in line
    assert f"Mailsac-Key: {KEY}" in headers
    assert f"it redirects to {other}" in listening.err.text


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1", "http://name.invalid"])
def test_an_unreachable_service_is_one_clean_line(here: Here, url: str) -> None:
    ended = here("listen", url, "--addresses", ADDRESS, "--no-reconnect", MAILSAC_KEY=OTHER_KEY)
    assert ended.returncode == exits.FAILED
    assert ended.stderr.startswith(f"relay: cannot connect to {url.replace('http', 'ws')}/incoming-messages: ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [(), ("--addresses", ADDRESS), ("ftp://h", "--addresses", ADDRESS, "--key", "k")]
)
def test_a_wrong_command_line_is_exit_code_2(here: Here, arguments: tuple[str, ...]) -> None:
    assert here("listen", *arguments).returncode == exits.MISCONFIGURED


def test_a_new_process_goes_on_where_the_last_one_stood(service: Service, tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "listener.json"))
    with service.listen(*state, "--json", "--count", "1") as first:
        first.err.until("connected to")
        posted = [service.post("First")]
        assert first.ended() == exits.DONE
    posted += [service.post("Second"), service.post("Third")]
    with service.listen(*state, "--json", "--count", "1") as second:
        assert second.ended() == exits.DONE
    with service.listen(*state, "--json") as third:
        third.out.until("Third")
        posted.append(service.post("Fourth"))
        third.out.until("Fourth")
        with service.listen(*state) as another:
            assert another.ended() == exits.FAILED
        assert third.stop() == exits.DONE
    lines = [*first.out.lines, *second.out.lines, *third.out.lines]
    assert [json.loads(line)["_id"] for line in lines] == posted
    assert another.err.lines == [
        f"relay: state file {tmp_path}/listener.json: another listener is using it;"
        " give each listener a state file of its own"
    ]


def test_what_nobody_read_comes_again(service: Service, tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "listener.json"))
    arguments = ("listen", service.url, "--addresses", ADDRESS, "--json", *state)
    with subprocess.Popen(
        [*RELAY, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment({"MAILSAC_KEY": KEY}),
    ) as unread:
        assert unread.stdout is not None
        assert unread.stderr is not None
        assert b"connected to" in unread.stderr.readline()
        unread.stdout.close()
        posted = service.post("Read by nobody")
        assert unread.wait(10) == exits.DONE
    with service.listen("--json", *state) as listening:
        assert json.loads(listening.out.until("Read by nobody"))["_id"] == posted
        assert listening.stop() == exits.DONE


def test_since_brings_what_came_before_and_a_gap_is_told(service: Service) -> None:
    posted = service.post("Old")
    gone = f"{posted[:10]}{'0' * 6}-1-1"
    with service.listen("--since", f"{gone}", "--count", "1") as listening:
        assert listening.ended() == exits.DONE
    connected, gap = listening.err.lines
    assert connected.endswith("/incoming-messages; listening to 1 address")
    assert gap.startswith(f"relay: messages of {ADDRESS} after {gone}")
    assert "may be missing" in gap


def test_a_since_that_the_service_does_not_know_is_exit_code_5(here: Here, service: Service) -> None:
    ended = here("listen", service.url, "--addresses", ADDRESS, "--since", "x", MAILSAC_KEY=KEY)
    assert ended.returncode == exits.REFUSED
    assert ended.stderr.startswith("relay: since: x is no _id of a message")
