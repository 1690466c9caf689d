"""A service of one's own, in a process beside tests; it ends with them, also when they are killed.

``python -m relay.service.ephemeral`` is that process: secrets on stdin, its URL on stdout, and the end with stdin.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from relay import logs, settings
from relay.service.serve import listening_socket, run_process

DOMAIN = "relay.test"  # RFC 2606: nobody's, for ever
_CREDITS = 1_000_000
_START_SECONDS = 20.0
_PAUSE_SECONDS = 0.02
_END_SECONDS = 20.0


class Beside:
    """``with Beside() as service:``; it takes requests then."""

    def __init__(self) -> None:
        self.domain = DOMAIN
        self.key = secrets.token_urlsafe(24)
        self.raw_secret = secrets.token_urlsafe(24)
        self.url = ""
        # Over stdin, because a command line is shown to everybody; and when we are gone, it ends.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "relay.service.ephemeral"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        assert self._process.stdin and self._process.stdout  # noqa: S101, PT018  # for mypy
        self._process.stdin.write(json.dumps({"key": self.key, "raw_secret": self.raw_secret}) + "\n")
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


def main() -> int:
    """The exit code."""
    given = json.loads(sys.stdin.readline())
    account = {"id": "tests", "keys": [given["key"]], "address_credits": _CREDITS}
    with tempfile.TemporaryDirectory() as folder:
        accounts = Path(folder, "accounts.toml")
        accounts.touch(mode=0o600)
        accounts.write_text(
            "[[accounts]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in account.items())
        )
        loaded = settings.load(
            {},
            redis_url="memory://",
            accounts_file=accounts,
            domains=DOMAIN,
            host="127.0.0.1",
            port=0,
            raw_secret=given["raw_secret"],
            drain_seconds=0,
        )
        logs.configure("console", "error")
        public = listening_socket(loaded.host, loaded.port)
        print(f"http://127.0.0.1:{public.getsockname()[1]}", flush=True)
        return run_process(loaded, public, None, parent_fd=sys.stdin.fileno())


if __name__ == "__main__":
    sys.exit(main())
