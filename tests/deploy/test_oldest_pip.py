"""`make install` with the oldest pip that we claim, when newer releases of locked packages have appeared.

Nothing is asked of a registry but that pip itself: the packages are wheels of a few hundred bytes in a folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.deploy.wheels import make_wheel, packed_again

ROOT = Path(__file__).parents[2]
OLDEST_PIP = Path(__file__).parent / "oldest-pip.lock"
OLDEST = "23.0.1" if sys.version_info < (3, 12) else "23.2.1"
PYPROJECT = """
[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"

[project]
name = "stands-in"
version = "1"
description = "for this package"
"""


def environment(folder: Path) -> Path:
    """Makes an environment with the oldest pip and nothing else.

    The pip is unpacked, not installed: that would take 5 s of a core.
    """
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*download, "--requirement", OLDEST_PIP, "--dest", folder.parent], check=True)
    venv.create(folder, with_pip=False, symlinks=True)
    (wheel,) = folder.parent.glob("pip-*.whl")
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return packages


def publish(wheels: Path) -> dict[str, str]:
    """Wheels of the locked packages, and of what was released since. Returns the lock files.

    tests-cov needs covers[toml], of which there is 1.1 since 1.0 was locked.
    """
    (flit_core,) = find_spec("flit_core").submodule_search_locations or []  # type: ignore[union-attr]
    extra = ("Provides-Extra: toml", 'Requires-Dist: toml-thing>=1.0; extra == "toml"')
    build = packed_again(wheels, "flit-core", Path(flit_core), "4")
    runtime = make_wheel(wheels, "plain-thing", "1.0")
    dev = (
        make_wheel(wheels, "covers", "1.0", metadata=extra)
        + make_wheel(wheels, "tests-cov", "1.0", metadata=["Requires-Dist: covers[toml]>=1.0"])
        + make_wheel(wheels, "toml-thing", "1.0")
    )
    make_wheel(wheels, "covers", "1.1", metadata=extra)
    for name in ("plain-thing", "tests-cov", "toml-thing"):
        make_wheel(wheels, name, "1.1")
    return {
        "requirements.lock": runtime,
        "requirements-build.lock": build,
        "requirements-dev.lock": runtime + build + dev,
    }


@pytest.mark.timeout(180)  # six runs of pip: seconds on an idle machine, much more on one that is not
def test_the_locked_release_is_taken_though_there_is_a_newer_one(tmp_path: Path) -> None:
    checkout, wheels = tmp_path / "checkout", tmp_path / "wheels"
    for folder in (checkout, wheels):
        folder.mkdir()
    for name, text in publish(wheels).items():
        (checkout / name).write_text(text)
    shutil.copy(ROOT / "Makefile", checkout)
    (checkout / "pyproject.toml").write_text(PYPROJECT)
    (checkout / "stands_in.py").touch()
    packages = environment(checkout / ".venv")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE"))}
        only = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
        return subprocess.run(
            command, cwd=checkout, env=inherited | only, capture_output=True, text=True, check=False
        )

    # With its resolver this pip goes past the lock. Were that not so, the rest would show nothing.
    pip = (".venv/bin/python", "-m", "pip")
    resolved = run(*pip, "install", "--require-hashes", "--requirement", "requirements-dev.lock")
    assert resolved.returncode != 0
    assert "must have their versions pinned with ==" in resolved.stderr
    assert "covers[toml]" in resolved.stderr

    made = run("make", "install")
    assert made.returncode == 0, made.stdout + made.stderr
    assert {path.name.removesuffix(".dist-info") for path in packages.glob("*.dist-info")} == {
        f"pip-{OLDEST}",
        "stands_in-1",
        "flit_core-4",
        "plain_thing-1.0",
        "covers-1.0",
        "tests_cov-1.0",
        "toml_thing-1.0",
    }
