"""pytest fixtures for programs that send mail: a fresh address for each test, and the mail that comes to it.

In the conftest.py beside your tests::

    pytest_plugins = ["relay.testing"]

and in a test::

    def test_sign_up(relay_inbox):
        sign_up(email=relay_inbox.address)
        mail = relay_inbox.wait(subject="Confirm")
        confirm(mail.code)  # or mail.links[0]

Without an option the service runs beside the tests, in memory, on a free port of loopback; let your program post its
mail to ``relay_service.url`` as the README shows for ``/inbound/raw``, or hand one over with ``relay_inbox.post``. With
``--relay-url``, ``--relay-domain`` and a key (MAILSAC_KEY or ``--relay-key-file``) it is one that runs already.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from relay import settings
from relay.client.inbox import Inbox, Mail, NothingCame, sentence
from relay.network import is_loopback, reason_of
from relay.service.ephemeral import Beside

__all__ = ["Inbox", "Mail", "NothingCame", "RelayService", "TestInbox"]

_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class RelayService:
    """A running service, and an account of it."""

    url: str
    domain: str  # addresses of it can be reserved
    key: str = field(repr=False)
    raw_secret: str = field(repr=False)  # of POST /inbound/raw; "" = not known, then nothing can be posted

    def call(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """A REST call with the account's key. Raises httpx2.HTTPStatusError, which says what the service says, for all
        but 2xx; other httpx2.HTTPError: it cannot be reached."""
        __tracebackhide__ = True
        return self.request(method, path, {"Mailsac-Key": self.key}, **more)

    def request(self, method: str, path: str, headers: Mapping[str, str], **more: Any) -> httpx2.Response:
        """The same without a key."""
        __tracebackhide__ = True
        with httpx2.Client(timeout=_TIMEOUT_SECONDS, trust_env=not is_loopback(self.url)) as http:
            answer = http.request(method, f"{self.url}{path}", headers=headers, **more)
        if answer.is_success:
            return answer
        said = f"{method} {self.url}{path} is answered {answer.status_code}: {sentence(answer)}"
        raise httpx2.HTTPStatusError(said, request=answer.request, response=answer)


class TestInbox(Inbox):
    """An address that nobody had before, until the test ends."""

    __test__ = False  # its name does not make it a test

    def __init__(self, service: RelayService) -> None:
        super().__init__(service.url, key=service.key, address=f"test-{secrets.token_hex(8)}@{service.domain}")
        self._service = service

    def reserve(self) -> None:
        """Raises httpx2.HTTPError."""
        self._service.call("POST", self._path, json={"enablews": True, "info": "of a test"})

    def release(self) -> None:
        """With all its mail. Raises httpx2.HTTPError."""
        self._service.call("DELETE", f"{self._path}?deleteAddressMessages=true")

    def post(self, mail: EmailMessage | bytes) -> None:
        """Hands a mail to the service, as a mail server would. Raises RuntimeError, httpx2.HTTPError."""
        __tracebackhide__ = True
        if not self._service.raw_secret:
            raise RuntimeError("the secret of /inbound/raw is not known; set RELAY_RAW_SECRET")
        raw = mail if isinstance(mail, bytes) else mail.as_bytes(policy=SMTP)
        headers = {
            "Authorization": f"Bearer {self._service.raw_secret}",
            "Content-Type": "message/rfc822",
            "X-Envelope-To": self.address,
            "Webhook-Id": secrets.token_hex(16),  # each post is a mail of its own
        }
        self._service.request("POST", "/inbound/raw", headers, content=raw)

    @property
    def _path(self) -> str:
        return f"/api/addresses/{quote(self.address, safe='@')}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, each also a setting of pytest.ini under the name with underscores."""
    group = parser.getgroup("relay", "mail that arrives at relay")
    for option, meaning in (
        ("--relay-url", "base URL of a relay that runs already"),
        ("--relay-domain", "domain of it of which addresses may be reserved"),
        ("--relay-key-file", "file with the API key of an account of it; else MAILSAC_KEY"),
    ):
        group.addoption(option, default=None, help=meaning)
        parser.addini(option.removeprefix("--").replace("-", "_"), meaning, default="")


@pytest.fixture(scope="session")
def relay_service(pytestconfig: pytest.Config) -> Iterator[RelayService]:
    """The service of all tests of this run."""
    if url := _option(pytestconfig, "relay_url"):
        yield _running_already(pytestconfig, url.rstrip("/"))
        return
    with Beside() as beside:
        yield RelayService(beside.url, beside.domain, beside.key, beside.raw_secret)


@pytest.fixture
def relay_inbox(relay_service: RelayService) -> Iterator[TestInbox]:
    """A fresh address; released, with its mail, when the test has ended."""
    with TestInbox(relay_service) as inbox:
        if why := _why_not_reserved(inbox, relay_service.url):
            pytest.fail(f"no test address: {why}", pytrace=False)
        try:
            yield inbox
        finally:
            inbox.release()


def _why_not_reserved(inbox: TestInbox, url: str) -> str:
    """Reserves its address; "" = it is reserved. Not raised: pytest would show what is behind it, too."""
    try:
        inbox.reserve()
    except httpx2.HTTPStatusError as error:
        return str(error)
    except httpx2.HTTPError as error:
        return f"cannot reach {url}: {reason_of(error)}"
    return ""


def _running_already(config: pytest.Config, url: str) -> RelayService:
    file, domain = _option(config, "relay_key_file"), _option(config, "relay_domain")
    key = _key_of(file) if file else settings.client_key()
    if not key or not domain:
        # Not sooner: tests that need no mail run without.
        needed = "--relay-url needs --relay-domain, and a key: MAILSAC_KEY or --relay-key-file"
        pytest.fail(f"{needed} with a key in it" if file else needed, pytrace=False)
    return RelayService(url, domain, key, settings.provider_secret("raw").partition(",")[0].strip())


def _key_of(file: str) -> str:
    """ "" = it cannot be read, or is empty."""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _option(config: pytest.Config, name: str) -> str:
    return str(config.getoption(name) or config.getini(name) or "")
