"""The fixtures, as a stranger's tests use them: pytest run by pytest, in a folder of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.cli.command import environment
from tests.cli.service import KEY, SECRET, Service

_CONFTEST = 'pytest_plugins = ["relay.testing"]\n'
_TESTS = """
from email.message import EmailMessage

import pytest

from relay.testing import NothingCame


def mail_to(address, subject, text):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@sender.test", address, subject
    mail.set_content(text)
    return mail


def test_sign_up(relay_inbox):
    relay_inbox.post(mail_to(relay_inbox.address, "Welcome", "Hello"))
    relay_inbox.post(mail_to(relay_inbox.address, "Confirm", "Your code: 482913 https://shop.test/confirm"))
    mail = relay_inbox.wait(subject="confirm")
    assert (mail.code, mail.links[0]) == ("482913", "https://shop.test/confirm")


def test_each_test_has_an_address_of_its_own(relay_inbox, relay_service):
    with pytest.raises(NothingCame, match="no mail at all came"):
        relay_inbox.wait(timeout_seconds=0)
    assert [one["_id"] for one in relay_service.call("GET", "/api/addresses").json()].count(relay_inbox.address) == 1


def test_a_wait_goes_on_after_the_last_mail(relay_inbox):
    for subject in ("one", "two"):
        relay_inbox.post(mail_to(relay_inbox.address, subject, "text"))
    assert [relay_inbox.wait().subject for _ in range(2)] == ["one", "two"]
    with pytest.raises(NothingCame):
        relay_inbox.wait(timeout_seconds=0)
"""


_ONE = "def test_sign_up(relay_inbox):\n    relay_inbox.wait(timeout_seconds=0)\n"


def run(folder: Path, *options: str, tests: str = _TESTS, **settings: str) -> str:
    """What pytest prints."""
    (folder / "conftest.py").write_text(_CONFTEST)
    (folder / "test_shop.py").write_text(tests)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *options],
        check=False,
        cwd=folder,
        env=environment({**settings, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),  # ours take seconds to load
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return ended.stdout


def test_without_options_a_relay_runs_beside_the_tests(tmp_path: Path) -> None:
    assert "3 passed" in run(tmp_path)


def test_with_a_url_it_is_the_one_that_runs(service: Service, tmp_path: Path) -> None:
    options = ("--relay-url", service.url, "--relay-domain", "mailsac.com")
    assert "3 passed" in run(tmp_path, *options, MAILSAC_KEY=KEY, RELAY_RAW_SECRET=SECRET)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    nowhere = ("--relay-url", "http://127.0.0.1:1")
    for options, said in (
        (
            ("--relay-key-file", "no-such-file"),
            "--relay-url needs --relay-domain, and a key: MAILSAC_KEY or --relay-",
        ),
        (("--relay-domain", "x.test"), "cannot reach http://127.0.0.1:1: Connection refused"),
    ):
        printed = run(tmp_path, *nowhere, *options, tests=_ONE, MAILSAC_KEY=KEY)
        assert said in printed
        assert "Traceback" not in printed
        assert not re.search(r"relay/testing/|During handling", printed)


def test_a_domain_that_is_not_served_is_said_by_the_service(service: Service, tmp_path: Path) -> None:
    options = ("--relay-url", service.url, "--relay-domain", "elsewhere.test")
    printed = run(tmp_path, *options, tests=_ONE, MAILSAC_KEY=KEY)
    assert re.search(r"no test address: POST http\S*@elsewhere\.test is answered 40\d: \S+", printed)
    assert not re.search(r"relay/testing/|During handling", printed)


def test_what_fails_in_a_test_is_shown_at_its_own_line(tmp_path: Path) -> None:
    printed = run(tmp_path, tests=_ONE)
    assert ">       raise" not in printed
    assert "NothingCame: nothing came for test-" in printed
    assert "relay/client/inbox.py" not in printed
