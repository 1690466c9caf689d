"""The scripts of .ci/: what CI runs, on which Pythons, and what becomes of a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.checkout import ROOT, SYSTEM_PATH, program, run

ELSEWHERE = "tests/mime tests/rendering tests/cli tests/test_serve.py"


def ci(
    checkout: Path,
    *programs: str,
    make: str = 'echo "make $* in $PWD"',
    user: int = 0,
    pythons: str = "",
    has_venv: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run .ci/run from another folder, where these programs, and what bash needs, are all that there is.

    ``pythons`` is what .ci/pythons.py prints. The last step, .ci/installs, only says that it was reached.
    """
    folder = checkout.parent / "bin"
    for name in programs:
        program(folder / name, f'echo "{name} $*"')
    program(folder / "make", make)
    program(folder / "id", f"echo {user}")
    program(folder / "python3", f"test \"$1\" = .ci/pythons.py && printf '{pythons}'")
    program(checkout / ".ci" / "installs", 'echo "installs in $PWD"')
    debian_python = program(checkout.parent / "debian" / "python3", "" if has_venv else "exit 1")
    for name in ("bash", "dirname", "mktemp", "rm"):
        found = shutil.which(name, path=SYSTEM_PATH)
        assert found
        (folder / name).symlink_to(found)
    elsewhere = checkout.parent / "elsewhere"
    elsewhere.mkdir()
    return run(
        str(checkout / ".ci" / "run"),
        folder=elsewhere,
        path=str(folder),
        DEBIAN_PYTHON=str(debian_python),
        TMPDIR=str(elsewhere),
    )


@pytest.mark.parametrize("script", ["run", "installs"])
def test_scripts_are_executable(script: str) -> None:
    assert os.access(ROOT / ".ci" / script, os.X_OK)


def test_ci_installs_nothing_that_is_there(checkout: Path) -> None:
    done = ci(checkout, "redis-server", "curl", "luacheck", "chromium", "nginx", "java", "apt-get")
    assert done.returncode == 0, done.stderr
    assert "apt-get install" not in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("make ")] == [
        f"make check in {checkout}",
        f"make coverage in {checkout}",
    ]
    assert done.stdout.splitlines()[-1] == f"installs in {checkout}"


def test_ci_installs_what_is_missing_after_one_update(checkout: Path) -> None:
    done = ci(checkout, "apt-get", has_venv=False)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("apt-get ")] == [
        "apt-get update -qq",
        "apt-get install -y -qq --no-install-recommends redis-server",
        "apt-get install -y -qq --no-install-recommends curl",
        "apt-get install -y -qq --no-install-recommends lua-check",
        "apt-get install -y -qq --no-install-recommends chromium",
        "apt-get install -y -qq --no-install-recommends nginx-light",
        "apt-get install -y -qq --no-install-recommends default-jre-headless",
        "apt-get install -y -qq --no-install-recommends python3-venv",
    ]


def test_ci_goes_on_when_apt_fails(checkout: Path) -> None:
    program(checkout.parent / "bin" / "apt-get", "exit 100")
    done = ci(checkout)
    assert done.returncode == 0, done.stderr
    assert "redis-server: could not be installed; going on without" in done.stdout
    assert f"make coverage in {checkout}" in done.stdout


@pytest.mark.parametrize(("programs", "user"), [((), 0), (("apt-get",), 1000)])
def test_ci_goes_on_where_it_cannot_install(checkout: Path, programs: tuple[str, ...], user: int) -> None:
    done = ci(checkout, *programs, user=user)
    assert done.returncode == 0, done.stderr
    assert "apt-get install" not in done.stdout
    assert "redis-server: missing; not installed" in done.stdout
    assert f"make coverage in {checkout}" in done.stdout


def test_ci_is_told_to_the_tests(checkout: Path) -> None:
    done = ci(checkout, "redis-server", "curl", "luacheck", "chromium", "nginx", "java", make='echo "CI=$CI"')
    assert done.stdout.splitlines().count("CI=true") == 2


def test_ci_stops_at_the_first_failure(checkout: Path) -> None:
    done = ci(
        checkout, "redis-server", "curl", "luacheck", "chromium", "nginx", "java", make='echo "make $*"; exit 3'
    )
    assert done.returncode == 3
    assert "make check" in done.stdout
    assert "make coverage" not in done.stdout


# --- the other Pythons -------------------------------------------------------------------------------------------

TWO = r"3.12.1 /opt/a folder/python3\n3.13.0 /opt/python3.13\n"


def test_every_other_python_is_said_and_tried_in_an_environment_of_its_own(checkout: Path) -> None:
    done = ci(checkout, "redis-server", "curl", "luacheck", "chromium", "nginx", "java", pythons=TWO)
    assert done.returncode == 0, done.stderr
    assert "3.12.1 /opt/a folder/python3\n3.13.0 /opt/python3.13\n" in done.stdout
    tried = [line for line in done.stdout.splitlines() if line.startswith("make test ")]
    assert len(tried) == 2
    for line, python in zip(tried, ("/opt/a folder/python3", "/opt/python3.13"), strict=True):
        assert line.startswith(f"make test PYTHON={python} VENV=/")
        assert line.endswith(f" ARGS={ELSEWHERE} in {checkout}")
        assert f"VENV={checkout}" not in line
    assert list((checkout.parent / "elsewhere").iterdir()) == []


def test_no_other_python_is_said_too(checkout: Path) -> None:
    done = ci(checkout, "redis-server", "curl", "luacheck", "chromium", "nginx", "java")
    assert done.returncode == 0, done.stderr
    assert "on this machine:\nnone\n" in done.stdout


def test_one_that_fails_is_a_failure_and_the_rest_are_tried(checkout: Path) -> None:
    make = 'echo "make $*"; case "$*" in *folder/python3*) exit 2;; esac'
    done = ci(checkout, "redis-server", "curl", "luacheck", "chromium", "nginx", "java", make=make, pythons=TWO)
    assert done.returncode != 0
    assert "make test PYTHON=/opt/python3.13" in done.stdout
    assert "failed on Python 3.12.1 (/opt/a folder/python3)" in done.stdout
    assert "installs in" not in done.stdout


def answer(version: str, real: Path, rest: str = "") -> str:
    """A script that says of itself what .ci/pythons.py asks."""
    return f"printf '%s\\n' {version} '{real}'; {rest}"


def found(home: Path, *folders: Path) -> tuple[list[str], list[str]]:
    """What .ci/pythons.py tells of the Pythons below ``home``, and of those that it leaves out."""
    path = ":".join(str(folder) for folder in folders)
    done = run(sys.executable, str(ROOT / ".ci" / "pythons.py"), folder=home, path=path)
    assert done.returncode == 0, done.stderr
    told = [[line for line in text.splitlines() if str(home) in line] for text in (done.stdout, done.stderr)]
    return told[0], told[1]


def test_pythons_are_found_on_path_and_at_pyenv_and_none_twice(tmp_path: Path) -> None:
    pyenv, on_path = tmp_path / ".pyenv" / "versions", tmp_path / "bin"
    inner = program(pyenv / "3.13.9" / "bin" / "python3", answer("3.13.9", pyenv / "3.13.9" / "bin" / "python3"))
    outer = program(on_path / "python3.12", answer("3.12.9", on_path / "python3.12"))
    program(on_path / "python3.13", answer("3.13.9", inner))
    program(pyenv / "3.12.9" / "bin" / "python3", answer("3.12.9", outer))
    program(pyenv / "3.10.1" / "bin" / "python3", answer("3.10.1", pyenv / "3.10.1"))
    assert found(tmp_path, on_path) == ([f"3.12.9 {outer}", f"3.13.9 {on_path / 'python3.13'}"], [])


def test_the_python_that_asks_is_not_another(tmp_path: Path) -> None:
    (tmp_path / "python3.11").symlink_to(sys.executable)
    assert found(tmp_path, tmp_path) == ([], [])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("echo pyenv: not found >&2; exit 127", "is left out, it does not run: pyenv: not found"),
        (
            answer("3.14.9", Path("/x"), "echo ensurepip is not available >&2; exit 1"),
            "(3.14.9) is left out, it cannot make environments: ensurepip is not available",
        ),
    ],
)
def test_a_python_that_cannot_be_used_is_named(tmp_path: Path, body: str, why: str) -> None:
    python = program(tmp_path / "python3.14", body)
    assert found(tmp_path, tmp_path) == ([], [f"{python} {why}"])
