"""A service of the tests' own, in a process beside them; it ends with them, also when they are killed.

This is the tests' side: it starts ``python -m relay.service.ephemeral``, writes the secrets to its stdin, and reads
its URL from its stdout. It imports nothing of the service, which may not be installed.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from types import TracebackType
from typing import Self

import httpx2

from relay import __version__

DOMAIN = "relay.test"  # RFC 2606: nobody's, for ever
_SERVICE = "relay.service.ephemeral"  # the other side
_START_SECONDS = 20.0
_PAUSE_SECONDS = 0.02
_END_SECONDS = 20.0


class NotInstalled(Exception):
    """The service is not here; says what to install."""


class Ephemeral:
    """``with Ephemeral() as service:``; it takes requests then."""

    def __init__(self) -> None:
        """Raises NotInstalled."""
        if not _is_installed():
            raise NotInstalled(
                f"a relay of the tests' own takes the service: install relay-inbound {__version__} here as well, or"
                " name a relay that runs already with --relay-url"
            )
        self.domain = DOMAIN
        self.key = secrets.token_urlsafe(24)
        self.raw_secret = secrets.token_urlsafe(24)
        self.url = ""
        # Over stdin, because a command line is shown to everybody; and when we are gone, it ends.
        self._process = subprocess.Popen(  # noqa: S603  # nothing of it is given by anybody
            [sys.executable, "-m", _SERVICE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        assert self._process.stdin and self._process.stdout  # noqa: S101, PT018  # for mypy
        given = {"key": self.key, "raw_secret": self.raw_secret, "domain": self.domain}
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        self.url = self._process.stdout.readline().strip()
        if not self.url or not self._is_ready():
            self.__exit__(None, None, None)
            raise RuntimeError("the relay beside the tests did not start; what it said stands above")
        return self

    def _is_ready(self) -> bool:
        """Whether its accounts are there, in time. Asks again and again: nothing tells when."""
        until = time.monotonic() + _START_SECONDS
        with httpx2.Client(trust_env=False) as http:
            while self._process.poll() is None and time.monotonic() < until:
                with suppress(httpx2.HTTPError):
                    if http.get(f"{self.url}/readyz").status_code == httpx2.codes.OK:
                        return True
                time.sleep(_PAUSE_SECONDS)
        return False

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin and self._process.stdout  # noqa: S101, PT018
        self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _is_installed() -> bool:
    try:
        return find_spec(_SERVICE) is not None
    except ModuleNotFoundError:  # nor is the room in which it is
        return False
