"""The hooks of .pre-commit-config.yaml, as git runs them; none of them may need a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GOOD = "Refuse a key that has no owner\n\nIt was taken for the operator's.\n"
CLEAN = '"""A module."""\n\nANSWER = 42\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the hooks switched on as CONTRIBUTING.md says; all ways to a network end nowhere."""
    folder = tmp_path / "checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (folder / "scripts").mkdir()
    for name in (".pre-commit-config.yaml", "pyproject.toml", ".gitignore", "scripts/commit_message.py"):
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    subprocess.run(
        [sys.executable, "-m", "pre_commit", "install"],
        cwd=folder, env=environment(folder), capture_output=True, check=True, timeout=50,
    )  # fmt: skip
    git(folder, "add", "--all")
    return folder


def environment(folder: Path) -> dict[str, str]:
    person = {
        f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "GIT_CONFIG_NOSYSTEM": "1"}
    return {"PATH": os.environ["PATH"], "HOME": str(folder.parent), **person, **nowhere}


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *arguments],
        cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip


def commit(folder: Path, message: str = GOOD, **files: str) -> subprocess.CompletedProcess[str]:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    git(folder, "add", "--all")
    return git(folder, "commit", "--message", message)


def read(message: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the hook says of a message, without git."""
    file = folder / "message"
    file.write_text(message)
    return subprocess.run(
        [sys.executable, "-m", "scripts.commit_message", str(file)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip


def test_every_hook_is_a_tool_of_this_checkout() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/python -m ")


def test_what_make_check_refuses_is_not_committed_until_it_is_mended(checkout: Path) -> None:
    unused = '"""A module."""\n\nimport os\n'
    done = commit(checkout, lint_py=unused, form_py=CLEAN.replace(" = ", "="), page_md="A recieved letter.\n")
    assert done.returncode != 0
    failed = {line.split(".")[0] for line in done.stderr.splitlines() if line.endswith("Failed")}
    assert failed == {"ruff check", "ruff format", "codespell"}

    mended = {"lint_py": CLEAN, "form_py": CLEAN, "page_md": "A received letter.\n"}
    done = commit(checkout, "Format", **mended)
    assert done.returncode != 0
    assert "There is no body" in done.stderr

    done = commit(checkout, **mended)
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(checkout, "log", "--format=%s").stdout == "Refuse a key that has no owner\n"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Test: the same of the service that was away\n\nWhy.", "leans on another commit ('the same')"),
        ("Format\n\nWhy.", "at least two words"),
        ("Refuse a key that has no owner", "no body"),
        ("Refuse a key that has no owner\nIt was taken for another.", "second line is empty"),
        (f"Refuse {'x' * 66}\n\nWhy.", "73 characters"),
    ],
)
def test_a_message_of_no_use_is_refused(tmp_path: Path, message: str, said: str) -> None:
    done = read(message, tmp_path)
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    "message",
    [
        f"Refuse {'x' * 65}\n\nWhy.",
        "Merge branch 'other'",
        "fixup! Refuse a key",
        "# a note of git\nRefuse a key\n\nWhy.\n# ------------------------ >8 ------------------------\ndiff\n",
        "Release 8.1.0\n\nCHANGELOG.md has what changed.",
    ],
)
def test_what_git_and_a_release_write_is_taken(tmp_path: Path, message: str) -> None:
    done = read(message, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
