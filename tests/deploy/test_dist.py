"""What `make dist` builds: the distributions that others install."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from relay import __version__

ROOT = Path(__file__).parents[2]
STEM = f"relay_inbound-{__version__}"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after `make dist` in a copy of this checkout, in which an older version lay."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in ("Makefile", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(ROOT / "relay", checkout / "relay", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "clients", checkout / "clients", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.lock", "requirements-build.lock", "requirements-dev.lock"):
        (checkout / name).touch()
    (checkout / "dist").mkdir()
    (checkout / "dist" / "relay_inbound-0.0.1-py3-none-any.whl").touch()
    python = checkout / ".venv" / "bin" / "python"  # this environment, as one that make has just installed
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    (checkout / ".venv" / ".installed").touch()
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    done = subprocess.run(
        ["make", "dist"], cwd=checkout, env=alone | offline, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(dist / f"{STEM}-py3-none-any.whl")


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return message_from_bytes(wheel.read(f"{STEM}.dist-info/METADATA"))


def test_an_older_version_is_not_left_beside_it(dist: Path) -> None:
    ours = {path.name for path in dist.iterdir() if path.name.startswith("relay_inbound-")}
    assert ours == {f"{STEM}-py3-none-any.whl", f"{STEM}.tar.gz"}


def test_the_client_and_test_kit_lies_beside_it(dist: Path) -> None:
    kit = {path.name for path in dist.iterdir() if path.name.startswith("relay_inbound_client-")}
    assert kit == {
        f"relay_inbound_client-{__version__}-py3-none-any.whl",
        f"relay_inbound_client-{__version__}.tar.gz",
    }


def test_wheel_has_all_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    in_wheel = {name for name in wheel.namelist() if ".dist-info/" not in name}
    in_checkout = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "relay").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert in_wheel == in_checkout


def test_wheel_has_a_free_name_and_the_version_of_the_package(metadata: Message) -> None:
    # "relay" is somebody else's: `pip install relay` must never be what this asks for.
    assert (metadata["Name"], metadata["Version"]) == ("relay-inbound", __version__)


def test_wheel_says_under_which_terms(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert metadata["License-Expression"] == "MIT"
    text = wheel.read(f"{STEM}.dist-info/licenses/LICENSE").decode()
    assert text.startswith("MIT License")
    assert "the relay authors" in text
    assert metadata["Author"] == "the relay authors"


def test_every_python_that_is_tested_is_named(metadata: Message) -> None:
    named = {
        value.rpartition(" ")[2] for value in metadata.get_all("Classifier", []) if ":: Python :: 3." in value
    }
    assert named == {"3.11", "3.12", "3.13", "3.14"}


def test_the_command_keeps_its_name(wheel: zipfile.ZipFile) -> None:
    assert "relay=relay.cli:main" in wheel.read(f"{STEM}.dist-info/entry_points.txt").decode()


def test_sdist_holds_what_its_own_build_needs(dist: Path) -> None:
    with tarfile.open(dist / f"{STEM}.tar.gz") as archive:
        names = archive.getnames()
    for name in ("pyproject.toml", "README.md", "LICENSE", "relay/__init__.py", "relay/web/pages.py"):
        assert f"{STEM}/{name}" in names
