"""The address of one test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import quote

import httpx2
import pytest

from relay.client.inbox import Inbox
from relay.network import reason_of
from relay.testing.service import RelayService


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


@contextmanager
def fresh_inbox(service: RelayService) -> Iterator[TestInbox]:
    """Reserved, and released with its mail in the end. Fails the test in one sentence when it cannot be had."""
    with TestInbox(service) as inbox:
        if why := _why_not_reserved(inbox, service.url):
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
