"""A checkout with stand-ins for the programs that its scripts call."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")
SYSTEM_PATH = "/usr/bin:/bin"


def copy(folder: Path) -> Path:
    """Makes ``folder`` a checkout with nothing but what make and .ci/run read."""
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / ".ci", folder / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(
    *command: str, folder: Path, path: str = SYSTEM_PATH, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command there, without the variables of who tests."""
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": path, "HOME": str(folder)} | variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def program(file: Path, text: str) -> Path:
    """Writes a script of /bin/sh."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file
