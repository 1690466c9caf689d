"""Clients that others wrote, installed once and run against a relay."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clients.mailsac import Mailsac, client
from tests.harness import KEY, Relay

NODE_FOLDER = Path(__file__).with_name("node")
_NODE_MAJOR = 20  # the oldest that package.json beside names
_NODE_NEEDED = f"install Node.js {_NODE_MAJOR} or newer, with npm, into PATH: these tests need it, and "


@pytest.fixture
def redis_url() -> str:
    """One store is enough here: a client sees no difference."""
    return "memory://"


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of node/ with the packages of its lock installed; the checkout stays as it is."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.fail(f"{_NODE_NEEDED}there is no {program}", pytrace=False)
    version = _output("node", "--version")
    if int(version.removeprefix("v").partition(".")[0]) < _NODE_MAJOR:
        pytest.fail(f"{_NODE_NEEDED}node is {version}", pytrace=False)
    folder = tmp_path_factory.mktemp("clients") / "node"
    shutil.copytree(NODE_FOLDER, folder, ignore=shutil.ignore_patterns("node_modules"))
    _output("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder)
    return folder


def _output(*command: str, folder: Path | None = None) -> str:
    """What a program prints; fails with it when the program does."""
    ended = subprocess.run(
        command,
        check=False,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if ended.returncode != 0:
        pytest.fail(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}", pytrace=False)
    return ended.stdout.strip()


@pytest.fixture
async def mailsac(relay: Relay, node_folder: Path) -> AsyncIterator[Mailsac]:
    """The client of ``KEY``."""
    async with client(relay, node_folder, KEY) as mailsac:
        yield mailsac
