"""What a person at a terminal gets, where a program would get something else."""

from __future__ import annotations

import os
import pty
import re
import subprocess

from tests.cli.command import RELAY, ROOT, environment, run
from tests.redis_server import RedisServer


def on_terminal(*arguments: str, **settings: str) -> str:
    """The output of a command on a terminal, without colours. The command must end well."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*RELAY, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env=environment(settings),
    ) as process:
        os.close(theirs)
        said = b"".join(iter(lambda: read(ours), b""))
        os.close(ours)
    assert process.returncode == 0, said
    return re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).replace("\r\n", "\n")


def read(terminal: int) -> bytes:
    """b"" at the end, which Linux tells as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def test_lists_are_tables(redis: RedisServer) -> None:
    settings = {"RELAY_REDIS_URL": redis.url}
    assert on_terminal("account", "list", **settings) == "there are no accounts\n"
    assert run("account", "add", "user1", **settings).returncode == 0
    header, row = on_terminal("account", "list", **settings).splitlines()
    assert header.split() == ["account", "address", "credits", "created", "state"]
    assert row.split()[:2] == ["user1", "50"]


def test_the_demo_shortens_the_raw_mail() -> None:
    said = on_terminal("demo", "--once", "--port", "0")
    [raw] = [line for line in said.splitlines() if '"raw":' in line]
    assert re.search(r"… \(\d+ characters\)\"", raw)
