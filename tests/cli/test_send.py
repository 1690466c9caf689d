"""Posting a mail: what the command says, and the exit codes that its documentation promises."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from relay.cli import credential, exits
from relay.inbound.providers import NEED_API_KEY, PROVIDERS
from tests.cli.command import run
from tests.cli.conftest import Here
from tests.cli.service import ADDRESS, MAIL, QUIET_ADDRESS, SECRET, Service
from tests.redis_server import RedisServer


@pytest.fixture
def mail(tmp_path: Path) -> str:
    path = tmp_path / "mail.eml"
    path.write_text(MAIL % "From a file")
    return str(path)


def test_accepted(service: Service, mail: str) -> None:
    sent = run("send", mail, "--to", ADDRESS, "--url", service.url, "--secret", SECRET)
    assert (sent.returncode, sent.stderr) == (exits.DONE, "")
    assert sent.stdout.startswith(f"accepted for {ADDRESS}: ")


def test_without_to_the_mail_itself_names_its_recipient(here: Here, service: Service, mail: str) -> None:
    sent = here("send", mail, "--url", service.url, RELAY_RAW_SECRET=SECRET)
    assert sent.stdout.startswith(f"accepted for {ADDRESS}: ")


def test_one_rejected_recipient_is_exit_code_4(here: Here, service: Service, mail: str) -> None:
    to = ("--to", ADDRESS, "--to", QUIET_ADDRESS, "--to", "nobody@mailsac.com")
    sent = here("send", mail, *to, "--url", service.url, "--secret", SECRET)
    assert sent.returncode == exits.REJECTED
    accepted, *rejected = sent.stdout.splitlines()
    assert accepted.startswith(f"accepted for {ADDRESS}: ")
    assert rejected == [
        f"rejected for {QUIET_ADDRESS}: forwarding off",
        "rejected for nobody@mailsac.com: not reserved",
    ]


def test_json_is_the_answer_of_the_service(here: Here, service: Service, mail: str) -> None:
    sent = here(
        "send", mail, "--to", ADDRESS, "--to", "ü@mailsac.com", "--url", service.url, "--secret", SECRET, "--json"
    )
    answer = json.loads(sent.stdout)
    assert [one["inbox"] for one in answer["accepted"]] == [ADDRESS]
    assert answer["rejected"] == [{"inbox": "ü@mailsac.com", "reason": "not reserved"}]


def test_the_first_secret_of_a_rotation_and_the_first_line_of_a_file(
    here: Here, service: Service, mail: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    arguments = ("send", mail, "--to", ADDRESS, "--url", service.url)
    assert here(*arguments, RELAY_RAW_SECRET=f"{SECRET}, another-secret").returncode == exits.DONE
    assert here(*arguments, "--secret-file", str(file), RELAY_RAW_SECRET="wrong").returncode == exits.DONE


def test_a_wrong_secret_is_exit_code_1_with_the_sentence_of_the_service(
    here: Here, service: Service, mail: str
) -> None:
    sent = here("send", mail, "--to", ADDRESS, "--url", service.url, "--secret", "wrong-secret")
    assert sent.returncode == exits.FAILED
    assert sent.stderr.startswith(f"relay: {service.url}/inbound/raw answers 401: the provider's secret is wrong")
    assert "wrong-secret" not in sent.stderr


def test_no_mail_and_too_much_of_it(here: Here, service: Service) -> None:
    arguments = ("send", "-", "--to", ADDRESS, "--url", service.url, "--secret", SECRET)
    empty = here(*arguments)
    assert (empty.returncode, empty.stdout) == (exits.FAILED, "")
    assert " answers 400: " in empty.stderr
    large = here(*arguments, stdin=MAIL % "Large" + "x" * (26 * 1024 * 1024))
    assert (large.returncode, large.stdout) == (exits.FAILED, "")
    assert " answers 413: the mail is larger than " in large.stderr


def test_an_unreachable_service_is_one_clean_line(here: Here, mail: str) -> None:
    sent = here("send", mail, "--to", ADDRESS, "--url", "http://127.0.0.1:1", "--secret", SECRET)
    assert sent.returncode == exits.FAILED
    assert sent.stderr == "relay: cannot post to http://127.0.0.1:1/inbound/raw: Connection refused\n"


def test_a_service_without_the_route_is_told_how_to_have_it(here: Here, service: Service, mail: str) -> None:
    sent = here("send", mail, "--to", ADDRESS, "--url", f"{service.url}/elsewhere", "--secret", SECRET)
    assert sent.returncode == exits.FAILED
    assert "RELAY_RAW_SECRET" in sent.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-file.eml", "--secret", SECRET),
        ("-",),
        ("-", "--secret", "line\nbreak"),
        ("-", "--secret-file", "no-such-file"),
        ("-", "--secret", SECRET, "--to", "a@x.test\r\nX-Envelope-To: b@x.test"),
        ("-", "--secret", SECRET, "--url", "127.0.0.1:8000"),
        ("-", "--secret", SECRET, "--url", "http://a..b"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(here: Here, arguments: tuple[str, ...]) -> None:
    sent = here("send", *arguments, stdin=MAIL % "Unsent")
    assert (sent.returncode, sent.stdout) == (exits.MISCONFIGURED, "")


# As a provider


@pytest.fixture(scope="module")
def every(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that takes every provider's posts, with the same secret."""
    secrets = {f"RELAY_{name.upper()}_SECRET": SECRET for name in PROVIDERS}
    keys = {f"RELAY_{name.upper()}_API_KEY": "key" for name in NEED_API_KEY}
    with Service(redis.url, tmp_path_factory.mktemp("every"), **secrets, **keys) as running:
        yield running


def test_as_another_provider_with_its_own_secret(here: Here, every: Service, mail: str) -> None:
    arguments = ("send", mail, "--as", "mailsac", "--to", ADDRESS, "--url", every.url)
    sent = here(*arguments, RELAY_MAILSAC_SECRET=f"{SECRET},another", RELAY_RAW_SECRET="wrong")
    assert (sent.returncode, sent.stderr) == (exits.DONE, "")
    assert sent.stdout.startswith(f"accepted for {ADDRESS}: ")
    wrong = here(*arguments, "--secret", "wrong-secret")
    assert wrong.returncode == exits.FAILED
    assert wrong.stderr.startswith(f"relay: {every.url}/inbound/mailsac answers 401: ")
    assert "wrong-secret" not in wrong.stderr
    none = here(*arguments, RELAY_RAW_SECRET=SECRET)
    assert none.returncode == exits.MISCONFIGURED
    assert "RELAY_MAILSAC_SECRET" in none.stderr


def test_each_recipient_has_a_post_and_one_is_needed(here: Here, every: Service, mail: str) -> None:
    arguments = ("send", mail, "--as", "mailsac", "--url", every.url, "--secret", SECRET)
    sent = here(*arguments, "--to", ADDRESS, "--to", QUIET_ADDRESS, "--json")
    assert sent.returncode == exits.REJECTED
    answer = json.loads(sent.stdout)
    assert [one["inbox"] for one in answer["accepted"]] == [ADDRESS]
    assert [one["inbox"] for one in answer["rejected"]] == [QUIET_ADDRESS]
    assert here(*arguments).returncode == exits.MISCONFIGURED
    assert here("send", mail, "--as", "pigeon", "--secret", SECRET).returncode == exits.MISCONFIGURED


def test_what_lies_at_the_provider_cannot_be_sent_in_its_place(here: Here, every: Service, mail: str) -> None:
    to = ("--to", ADDRESS, "--url", every.url, "--secret", SECRET)
    assert here("send", mail, "--as", "brevo", *to).stdout.startswith(f"accepted for {ADDRESS}: ")
    file = "Subject: x\nContent-Type: image/png\nContent-Disposition: attachment\n\nx\n"
    with_file = here("send", "-", "--as", "brevo", *to, stdin=file)
    resend = here("send", mail, "--as", "resend", *to)
    assert (with_file.returncode, resend.returncode) == (exits.MISCONFIGURED, exits.MISCONFIGURED)
    assert "fetches" in with_file.stderr
    assert "fetches" in resend.stderr


def test_what_is_being_fetched_is_told(here: Here, mail: str) -> None:
    answer = b'{"accepted":[],"rejected":[],"fetching":[{"id":"0123456789abcdef"}]}'
    with answering(answer) as url:
        sent = here("send", mail, "--url", url, "--secret", SECRET)
    assert (sent.returncode, sent.stdout) == (exits.DONE, "being fetched as 0123456789abcdef\n")


def test_a_pem_key_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    read = credential.read(None, file, option="--secret", variable="X")
    assert read == file.read_text().strip()


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The URL of a server that gives this answer to every post."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_what_the_service_has_parked_is_exit_code_4(here: Here, mail: str, tmp_path: Path) -> None:
    """No provider of ours parks what it is sent by this command: a service that answers so."""
    answer = b'{"accepted":[],"rejected":[],"parked":[{"id":"0123456789abcdef","reason":"no mail"}]}'
    with answering(answer) as url:
        sent = here("send", mail, "--url", url, "--secret", SECRET)
    assert (sent.returncode, sent.stdout) == (exits.REJECTED, "parked as 0123456789abcdef: no mail\n")
