"""Runs luacheck on the scripts of relay/*/lua. A part of `make check`.

A script is checked whole, with what it includes, as Redis gets it; what luacheck says is shown at the file and line
where it stands. That a part has functions which one of its scripts does not use is no finding. Where luacheck is
missing this says so; with CI=true that is an error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from relay.store import script

_ROOT = Path(__file__).parent.parent
_FINDING = re.compile(r"^[^:]*/([^/:]+):(\d+):(.*)$")
_OF_A_PART = "-- luacheck: push ignore 211\n", "-- luacheck: pop\n"  # 211: unused local function


def findings() -> list[str]:
    """What luacheck finds in all scripts, each finding once. Raises CalledProcessError: it could not do its work."""
    with tempfile.TemporaryDirectory() as folder:
        sources = dict(_composed(Path(folder)))
        config = str(_ROOT / ".luacheckrc")
        command = ["luacheck", "--formatter", "plain", "--codes", "--config", config, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode > 2:  # 1: warnings, 2: errors in the code; beyond that it has not read all
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    found = (_FINDING.match(line) for line in done.stdout.splitlines())
    return sorted({f"{sources[one[1]][int(one[2]) - 1]}:{one[3]}" for one in found if one})


def _composed(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Writes each script into the folder; gives the name of its file, and where each of its lines stands."""
    paths = sorted((_ROOT / "relay").glob("*/lua/*.lua"))
    parts_of = {
        name: script.parts(name) for name in (path.relative_to(_ROOT / "relay").as_posix() for path in paths)
    }
    included = {part for parts in parts_of.values() for part, _ in parts[:-1]}
    for name in parts_of.keys() - included:
        *parts, (_, own) = parts_of[name]
        lines, places = list[str](), list[str]()
        for part, text in parts:
            before, after = _OF_A_PART
            lines += [before, *text.splitlines(keepends=True), after]
            places += [part, *_numbered(part, text), part]
        lines.append(own)
        places += _numbered(name, own)
        file = name.replace("/", ".")
        (folder / file).write_text("".join(lines), encoding="utf-8")
        yield file, places


def _numbered(name: str, text: str) -> list[str]:
    return [f"relay/{name}:{number}" for number, _ in enumerate(text.splitlines(), 1)]


def main() -> None:
    """Ends with 1 when there is a finding."""
    if not shutil.which("luacheck"):
        if os.environ.get("CI") == "true":
            sys.exit("luacheck is missing (Debian: lua-check)")
        print("The Lua in relay/*/lua is not checked: luacheck is missing (Debian: apt-get install lua-check).")
        return
    if found := findings():
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
