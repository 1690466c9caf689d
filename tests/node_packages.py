"""Packages of npm for the tests: clients that others wrote, and axe-core."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

NODE_FOLDER = Path(__file__).parent / "clients" / "node"
_NODE_MAJOR = 20  # the oldest that its package.json names
_NODE_NEEDED = f"install Node.js {_NODE_MAJOR} or newer, with npm, into PATH: these tests need it, and "


def install(folder: Path) -> Path:
    """Makes ``folder`` a copy of clients/node/ with the packages of its lock; the checkout stays as it is."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.fail(f"{_NODE_NEEDED}there is no {program}", pytrace=False)
    version = _output("node", "--version")
    if int(version.removeprefix("v").partition(".")[0]) < _NODE_MAJOR:
        pytest.fail(f"{_NODE_NEEDED}node is {version}", pytrace=False)
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
