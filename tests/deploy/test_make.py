"""The Makefile: what a newcomer meets first, above all when something is missing."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.deploy.checkout import LOCKS, program, run

TARGETS = [
    "install",
    "run",
    "test",
    "coverage",
    "check",
    "format",
    "dist",
    "bench",
    "peers",
    "chaos",
    "siege",
    "lock",
    "changes",
    "release",
    "clean",
    "help",
]
SPELLED = "*.md pyproject.toml Makefile .ci changes docs relay bench chaos siege clients scripts helm"
SPELLING = f"python -m codespell_lib {SPELLED}"
SERVICE = "--requirement requirements.lock --requirement requirements-build.lock"


def installed(checkout: Path, *, stamps: tuple[str, ...] = (".installed-service", ".installed")) -> Path:
    """As after `make install`, but python only says what it is asked to run."""
    python = program(checkout / ".venv" / "bin" / "python", 'echo "python $*"')
    program(checkout / ".venv" / "bin" / "relay", 'echo "relay $*"')
    for name in ("pyproject.toml", *LOCKS):
        os.utime(checkout / name, (1_000_000_000, 1_000_000_000))
    for name in stamps:
        (checkout / ".venv" / name).touch()
    return python


def change(checkout: Path, name: str) -> None:
    """A file of the checkout is newer now than what was installed."""
    stamp = (checkout / ".venv" / ".installed").stat()
    os.utime(checkout / name, (stamp.st_atime + 10, stamp.st_mtime + 10))


def steps(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the python of the environment was asked to run."""
    return [line.removeprefix("python -m ") for line in done.stdout.splitlines() if line.startswith("python ")]


def installs(what: str) -> list[str]:
    return [
        f"pip install --quiet --no-deps --require-hashes {what}",
        "pip install --quiet --no-deps --no-build-isolation --editable .",
        "pip check",
    ]


def test_make_alone_tells_every_target(checkout: Path) -> None:
    done = run("make", folder=checkout)
    assert done.returncode == 0
    told = {line.split()[0] for line in done.stdout.splitlines()[1:]}
    assert told == set(TARGETS)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            'case "$1" in -V) echo Python 3.10.4;; *) exit 1;; esac',
            "needs Python 3.11 or newer; ./python is Python 3.10.4",
        ),
        ('case "$*" in *ensurepip*) exit 1;; esac', "./python has no venv module"),
    ],
)
def test_a_python_that_will_not_do_is_named_in_one_line(checkout: Path, body: str, said: str) -> None:
    program(checkout / "python", body)
    done = run("make", "install", "PYTHON=./python", folder=checkout)
    assert done.returncode != 0
    ours = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(ours) == 1
    assert said in ours[0]
    assert not (checkout / ".venv").exists()


def test_the_oldest_python_is_that_of_the_package(checkout: Path) -> None:
    wanted = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["requires-python"]
    major, minor = wanted.removeprefix(">=").split(".")
    assert f"sys.version_info < ({major}, {minor})" in (checkout / "Makefile").read_text()


def test_no_python_at_all_is_named_too(checkout: Path) -> None:
    done = run("make", "install", "PYTHON=python-that-is-not-there", folder=checkout)
    assert done.returncode != 0
    assert "there is no python-that-is-not-there" in done.stderr


def test_a_failed_install_is_tried_again(checkout: Path) -> None:
    # As python -m venv when the disk is full: python is there, pip is not.
    program(
        checkout / "python", 'case "$*" in *-m\\ venv*) mkdir -p .venv/bin; touch .venv/bin/python; exit 1;; esac'
    )
    assert run("make", "install", "PYTHON=./python", folder=checkout).returncode != 0
    assert not (checkout / ".venv").exists()


EVERYTHING = installs("--requirement requirements-dev.lock")


def test_install_is_hashed_then_alone_then_checked_and_once(checkout: Path) -> None:
    installed(checkout, stamps=())
    assert steps(run("make", "install", folder=checkout)) == EVERYTHING
    assert run("make", "install", folder=checkout).stdout == ""


def test_run_installs_what_the_service_needs_and_no_more(checkout: Path) -> None:
    installed(checkout, stamps=())
    first = run("make", "run", folder=checkout)
    assert steps(first) == installs(SERVICE)
    assert first.stdout.splitlines()[-1] == "relay demo"
    assert run("make", "run", folder=checkout).stdout == "relay demo\n"


def test_what_tests_need_comes_into_the_same_environment_later(checkout: Path) -> None:
    installed(checkout, stamps=(".installed-service",))
    assert steps(run("make", "test", folder=checkout)) == [*EVERYTHING, "pytest -n 3 --dist worksteal"]
    assert run("make", "run", folder=checkout).stdout == "relay demo\n"


def test_run_keeps_an_environment_whole_that_has_everything(checkout: Path) -> None:
    installed(checkout)
    change(checkout, "requirements.lock")
    assert steps(run("make", "run", folder=checkout)) == EVERYTHING


@pytest.mark.parametrize("changed", ["pyproject.toml", *LOCKS])
def test_install_again_when_its_sources_changed(checkout: Path, changed: str) -> None:
    installed(checkout)
    change(checkout, changed)
    assert steps(run("make", "install", folder=checkout)) == EVERYTHING


def test_packages_that_do_not_fit_together_are_a_failure(checkout: Path) -> None:
    python = installed(checkout, stamps=())
    program(python, 'case "$*" in *check*) echo "a 1 needs b"; exit 1;; esac')
    done = run("make", "install", folder=checkout)
    assert done.returncode != 0
    assert "a 1 needs b" in done.stdout
    assert "make clean install" in done.stderr
    assert not (checkout / ".venv" / ".installed").exists()


def test_another_environment_is_a_variable(checkout: Path) -> None:
    installed(checkout)
    (checkout / ".venv").rename(checkout / "another")
    assert run("make", "run", "VENV=another", folder=checkout).stdout == "relay demo\n"
    assert not (checkout / ".venv").exists()


def test_a_python_that_was_removed_takes_what_was_installed_with_it(checkout: Path) -> None:
    installed(checkout).unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")
    again = 'case "$*" in *--clear*) rm .venv/bin/python; cp python .venv/bin/python;; *) echo "python $*";; esac'
    program(checkout / "python", again)
    done = run("make", "install", "PYTHON=./python", folder=checkout)
    assert [step for step in steps(done) if step.startswith("pip")] == EVERYTHING


@pytest.mark.parametrize(
    ("target", "lines"),
    [
        ("run", ["relay demo --port 1"]),
        (
            "check",
            [
                "python -m ruff check",
                "python -m ruff format --check",
                "python -m mypy",
                "python -m scripts.check_lua",
                SPELLING,
            ],
        ),
        ("format", ["python -m ruff check --fix-only", "python -m ruff format"]),
        ("test", ["python -m pytest -n 3 --dist worksteal --port 1"]),
        (
            "coverage",
            [
                "python -m pytest -n 3 --dist worksteal"
                " --cov --cov-report=term-missing:skip-covered --cov-fail-under=90 --port 1"
            ],
        ),
    ],
)
def test_targets_run_from_the_environment(checkout: Path, target: str, lines: list[str]) -> None:
    installed(checkout)
    done = run("make", target, "ARGS=--port 1", folder=checkout)
    assert (done.returncode, done.stdout.splitlines()) == (0, lines)


@pytest.mark.parametrize(
    ("said", "upgrades"), [([], "--upgrade"), (["PACKAGE=starlette"], "--upgrade-package starlette")]
)
def test_lock_moves_all_packages_or_one(checkout: Path, said: list[str], upgrades: str) -> None:
    installed(checkout)
    done = run("make", "lock", *said, folder=checkout)
    compiled = [line for line in done.stdout.splitlines() if line.startswith("python -m uv pip compile ")]
    assert len(compiled) == 5  # three locks of the checkout, two of .ci
    assert all(f" {upgrades} --universal " in line for line in compiled)
