"""The service of a run of tests: one that runs already, or one of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from relay.client.inbox import sentence
from relay.network import is_loopback
from relay.testing import options
from relay.testing.ephemeral import Ephemeral, NotInstalled

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


@contextmanager
def service_of(config: pytest.Config) -> Iterator[RelayService]:
    """The one that the options name, else one that ends with the tests. Fails the test in one sentence."""
    if url := options.value(config, "relay_url"):
        yield _running_already(config, url.rstrip("/"))
        return
    try:
        ephemeral = Ephemeral()
    except NotInstalled as error:
        why = str(error)
    else:
        with ephemeral:
            yield RelayService(ephemeral.url, ephemeral.domain, ephemeral.key, ephemeral.raw_secret)
        return
    pytest.fail(why, pytrace=False)  # out here, because pytest shows what is behind an error, too


def _running_already(config: pytest.Config, url: str) -> RelayService:
    file, domain = options.value(config, "relay_key_file"), options.value(config, "relay_domain")
    key = options.key(file)
    if not key or not domain:
        # Not sooner: tests that need no mail run without.
        needed = "--relay-url needs --relay-domain, and a key: MAILSAC_KEY or --relay-key-file"
        pytest.fail(f"{needed} with a key in it" if file else needed, pytrace=False)
    return RelayService(url, domain, key, options.raw_secret())
