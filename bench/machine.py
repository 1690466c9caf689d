"""On what it was measured: the machine and the versions of everything that takes part."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench import peers
from relay import __version__

_ROOT = Path(__file__).parent.parent
_PACKAGES = ("starlette", "uvicorn", "uvloop", "httptools", "websockets", "redis", "hiredis", "orjson")


def facts() -> list[tuple[str, str]]:
    """Name and value, in the order of the report."""
    return [
        ("CPU", f"{_cpu_model()}, {os.cpu_count()} cores"),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        (
            "commit",
            _first_match(["git", "-C", str(_ROOT), "describe", "--always", "--dirty"], r"^([0-9a-f]+\S*)$"),
        ),
        ("relay", __version__),
        *((name, _version(name)) for name in _PACKAGES),
        ("redis-server", _first_match(["redis-server", "--version"], r"v=(\S+)")),
        ("nginx", _first_match([peers.nchan()[0], "-v"], r"nginx/(\S+)")),
        ("nchan", peers.nchan_version()),
        ("Centrifugo", _centrifugo()),
    ]


def _cpu_model() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _centrifugo() -> str:
    """What ``go install`` makes does not know its version."""
    if peers.centrifugo().startswith(str(peers.FOLDER)):
        return peers.CENTRIFUGO_VERSION
    return _first_match([peers.centrifugo(), "version"], r"v(\S+)")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _first_match(command: list[str], pattern: str) -> str:
    """What a command says of its version, wherever it says it."""
    if not command[0] or not shutil.which(command[0]):
        return "not here"
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"
