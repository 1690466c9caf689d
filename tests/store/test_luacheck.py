"""``scripts/check_lua.py``, the Lua of `make check`: what it finds, and a machine without luacheck."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
needs_luacheck = pytest.mark.skipif(
    not shutil.which("luacheck") and os.environ.get("CI") != "true",
    reason="luacheck is missing (Debian: lua-check)",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "relay", tmp_path / "relay", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".luacheckrc", tmp_path)
    return tmp_path


def check(checkout: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.check_lua"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(checkout)} | variables
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


@needs_luacheck
def test_our_scripts_are_clean(checkout: Path) -> None:
    done = check(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_luacheck
@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("page.lua", "local never = 1", "unused variable 'never'"),
        ("page.lua", "locl x", "expected"),
        ("count.lua", "find(ID)", "accessing undefined variable 'ID'"),  # find is of a part
        (
            "copies.lua",
            "letters_begin()",
            "accessing undefined variable 'letters_begin'",
        ),  # it does not include that part
        ("drop.lua", "total = 1", "setting non-standard global variable 'total'"),  # a part
    ],
)
def test_what_it_finds_is_shown_where_it_stands(checkout: Path, file: str, line: str, found: str) -> None:
    path = checkout / "relay" / "mailbox" / "lua" / file
    lines = path.read_text().splitlines()
    at = next(number for number, text in enumerate(lines) if text and not text.startswith(("--", "local")))
    path.write_text("\n".join([*lines[:at], line, *lines[at:]]) + "\n")
    done = check(checkout)
    assert done.returncode == 1
    assert found in done.stderr
    assert f"relay/mailbox/lua/{file}:{at + 1}:" in done.stderr


def test_without_luacheck_it_says_what_is_skipped(checkout: Path, tmp_path: Path) -> None:
    done = check(checkout, PATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "is not checked: luacheck is missing (Debian: apt-get install lua-check)" in done.stdout


def test_without_luacheck_ci_fails(checkout: Path, tmp_path: Path) -> None:
    done = check(checkout, PATH=str(tmp_path), CI="true")
    assert done.returncode == 1
    assert "luacheck is missing" in done.stderr
