"""Finds the other Pythons of this machine that relay claims to run on, for .ci/run.

Prints one line for each, ``<version> <path>``, oldest first: Debian's own, those on PATH, those of pyenv and of uv; not
the one that runs this, and none twice. On stderr it names those that cannot be used, and why.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MINORS = range(11, 15)  # 3.11 to 3.14: what pyproject.toml names
SYSTEM = Path("/usr/bin")
# Where it really is (not a link, not the environment that it was called from), and whether it can make environments.
ASK = """
import os, sys
print("%d.%d.%d" % sys.version_info[:3])
print(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
import ensurepip, venv
"""


def candidates(home: Path, path: str, system: Path = SYSTEM) -> Iterator[Path]:
    """All files that may be a Python, in the order in which they are preferred."""
    names = ["python3", *(f"python3.{minor}" for minor in MINORS)]
    for folder in (system, *(Path(entry) for entry in path.split(os.pathsep) if entry)):
        yield from (folder / name for name in names)
    for pattern in (".pyenv/versions/*/bin/python3", ".local/share/uv/python/*/bin/python3"):
        yield from sorted(home.glob(pattern))


def ask(python: Path) -> tuple[list[str], str]:
    """What it said of itself: version and real path, as far as it came; and what was wrong if something was."""
    try:
        done = subprocess.run(
            [python, "-c", ASK], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return [], str(exc)
    words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    wrong = words[-1 if words[0].startswith("Traceback") else 0]
    return done.stdout.splitlines(), "" if done.returncode == 0 else wrong


def main() -> None:
    seen = {os.path.realpath(getattr(sys, "_base_executable", sys.executable))}
    found: list[tuple[tuple[int, ...], str]] = []
    for python in candidates(Path.home(), os.environ.get("PATH", "")):
        if not os.path.lexists(python):
            continue
        said, wrong = ask(python)
        if len(said) != 2:
            print(f"{python} is left out, it does not run: {wrong}", file=sys.stderr)
            continue
        version, real = tuple(map(int, said[0].split("."))), said[1]
        if real in seen or version[:2] not in {(3, minor) for minor in MINORS}:
            continue
        seen.add(real)
        if wrong:
            print(f"{python} ({said[0]}) is left out, it cannot make environments: {wrong}", file=sys.stderr)
            continue
        found.append((version, str(python)))
    for version, path in sorted(found):
        print(".".join(map(str, version)), path)


if __name__ == "__main__":
    main()
