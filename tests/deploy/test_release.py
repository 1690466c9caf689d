"""`make release`, in a checkout of its own with a remote that nothing may reach."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.release import PLACES

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")
FILES = (
    "Makefile",
    *LOCKS,
    "pyproject.toml",
    "towncrier.toml",
    "CHANGELOG.md",
    ".gitignore",
    "scripts/release.py",
)
PERSON = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com"}
COMMITTER = {"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return made(tmp_path)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A checkout after its release 8.1.0, and what was printed."""
    folder = made(tmp_path_factory.mktemp("released"))
    done = release(folder, "8.1.0")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def made(tmp_path: Path) -> Path:
    """A clone with what a release touches, two changes that are not released, and the environment of these tests."""
    folder = tmp_path / "checkout"
    for name in {*FILES, *(name for name, _, _ in PLACES)}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "changes").mkdir()
    for name in ("README.md", "template.md.jinja"):
        shutil.copy(ROOT / "changes" / name, folder / "changes")
    (folder / "changes" / "horn.fixed.md").write_text("- The horn is heard\n  by everybody.\n")
    (folder / "changes" / "lamp.added.md").write_text(
        "A lamp that shows\nwhether there is mail" + " and more" * 12 + ".\n"
    )
    git(tmp_path, "init", "--quiet", "--bare", "remote")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Begin")
    git(folder, "remote", "add", "origin", str(tmp_path / "remote"))
    git(folder, "push", "--quiet", "--set-upstream", "origin", "HEAD")
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\ncase "$*" in *pip*) exit 9;; esac\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    installed(folder)
    return folder


def installed(folder: Path) -> None:
    """So that make does not install anything."""
    (folder / ".venv" / ".installed").touch()


def environment(folder: Path) -> dict[str, str]:
    alone = {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    return {"PATH": os.environ["PATH"], **alone, **PERSON, **COMMITTER}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment(folder), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def release(folder: Path, version: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "release", f"VERSION={version}"],
        cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip


def state(folder: Path) -> list[str]:
    return [git(folder, *command) for command in (("log", "--format=%H"), ("tag",), ("status", "--porcelain"))]


def test_a_release_is_a_section_a_commit_and_a_tag(released: tuple[Path, str]) -> None:
    checkout, printed = released
    assert "Committed and tagged v8.1.0" in printed
    assert git(checkout, "log", "--format=%s").splitlines() == ["Release 8.1.0", "Begin"]
    assert git(checkout, "describe", "--exact-match", "HEAD") == "v8.1.0"
    assert git(checkout, "status", "--porcelain") == ""
    text = (checkout / "CHANGELOG.md").read_text()
    head, section, rest = re.split(r"^(?=## )", text, maxsplit=2, flags=re.M)
    assert re.fullmatch(
        r"## 8\.1\.0 - \d{4}-\d\d-\d\d\n\n"
        r"### Added\n\n- A lamp that shows whether there is mail( and more){8}( and)?\n  (more )?(and more ?)+\.\n\n"
        r"### Fixed\n\n- The horn is heard by everybody\.\n\n",
        section,
    ), section
    assert head + rest == (ROOT / "CHANGELOG.md").read_text()
    assert sorted(path.name for path in (checkout / "changes").iterdir()) == ["README.md", "template.md.jinja"]


def test_a_release_sets_the_version_wherever_it_stands(released: tuple[Path, str]) -> None:
    checkout, _ = released
    for name, before, behind in PLACES:
        old, new = (root.joinpath(name).read_text() for root in (ROOT, checkout))
        assert f"{before}8.1.0{behind}" in new
        assert len(new.splitlines()) == len(old.splitlines())


def test_a_release_reaches_no_remote(released: tuple[Path, str]) -> None:
    checkout, _ = released
    assert git(checkout.parent / "remote", "log", "--all", "--format=%s") == "Begin"
    assert git(checkout.parent / "remote", "tag") == ""


def test_the_next_release_needs_changes_of_its_own(released: tuple[Path, str]) -> None:
    checkout, _ = released
    installed(checkout)
    done = release(checkout, "8.2.0")
    assert done.returncode != 0
    assert "nothing has changed since the last release" in done.stderr


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("", "say which version"),
        ("8.1", "say which version"),
        ("v8.1.0", "say which version"),
        ("8.1.0rc1", "say which version"),
        ("0.0.9", "0.0.9 is not newer than"),
        ("7.0.0", "the tag v7.0.0 is there already"),
    ],
)
def test_a_version_that_cannot_be_is_refused(checkout: Path, version: str, said: str) -> None:
    git(checkout, "tag", "v7.0.0")
    before = state(checkout)
    done = release(checkout, version)
    assert done.returncode != 0
    assert said in done.stderr
    assert state(checkout) == before


@pytest.mark.parametrize(
    ("name", "said"),
    [("changes/horn.fixd.md", "Invalid news fragment name"), ("Dockerfile", "Dockerfile has the version")],
)
def test_what_cannot_be_released_changes_nothing(checkout: Path, name: str, said: str) -> None:
    (checkout / name).write_text("nothing that anybody knows\n")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "A mistake")
    before = state(checkout)
    done = release(checkout, "8.1.0")
    assert done.returncode != 0
    assert said in done.stderr
    assert state(checkout) == before


def test_what_is_not_committed_is_not_released(checkout: Path) -> None:
    (checkout / "note").write_text("forgotten")
    before = state(checkout)
    done = release(checkout, "8.1.0")
    assert "not committed" in done.stderr
    assert state(checkout) == before
