"""A real Redis and a real service, once for the tests of a file."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from relay.cli import main
from tests.cli.service import Service
from tests.redis_server import RedisServer


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Not the session's: other tests empty that one."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def service(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service that no test ends."""
    with Service(redis.url, tmp_path_factory.mktemp("service")) as running:
        yield running


Here = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """As :func:`tests.cli.command.run`, but in this process: for what is asked in many ways."""

    def run_here(*arguments: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        for name in [name for name in os.environ if name.startswith(("RELAY_", "MAILSAC_"))]:
            monkeypatch.delenv(name)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        monkeypatch.setattr(sys, "argv", ["relay", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), said.out, said.err)

    return run_here
