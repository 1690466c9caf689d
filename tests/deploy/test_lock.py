"""The lock files: complete, consistent, and silent about where they were made."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME, DEV, BUILD = "requirements.lock", "requirements-dev.lock", "requirements-build.lock"
LOCKS = [RUNTIME, DEV, BUILD]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIN = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?P<marker> ;[^\\]+)?(?P<hashes>(?: \\\n    --hash=\S+)*)$", re.M
)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(requirements: list[str]) -> set[str]:
    """Names of the packages in a list of requirements."""
    return {normal(re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]) for requirement in requirements}


def pins(lock: str) -> dict[str, str]:
    """Package -> version."""
    return {found["name"]: found["version"] for found in PIN.finditer((ROOT / lock).read_text())}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_pins_with_hashes_and_nothing_else(lock: str) -> None:
    text = (ROOT / lock).read_text()
    rest = PIN.sub("", text)
    assert [line for line in rest.splitlines() if line and not line.startswith("#")] == []
    for found in PIN.finditer(text):
        hashes = found["hashes"].replace("\\\n", "").split()
        assert hashes, found["name"]
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_does_not_tell_where_it_was_made(lock: str) -> None:
    text = (ROOT / lock).read_text()
    for trace in ("://", "index-url", "find-links", "trusted-host", "/", "\\Users", ".org", ".com"):
        assert trace not in text.replace("\\\n", ""), trace


def test_all_that_the_package_needs_is_locked() -> None:
    assert wanted(PYPROJECT["project"]["dependencies"]) <= pins(RUNTIME).keys()
    for extra in PYPROJECT["project"]["optional-dependencies"].values():
        assert wanted(extra) <= pins(DEV).keys()
    assert wanted(PYPROJECT["build-system"]["requires"]) <= pins(BUILD).keys()


def test_a_package_has_one_version_in_all_locks() -> None:
    assert pins(RUNTIME).items() <= pins(DEV).items()
    assert pins(BUILD).items() <= pins(DEV).items()


def test_runtime_has_no_tool_of_development() -> None:
    assert not pins(RUNTIME).keys() & {"pytest", "mypy", "ruff", "playwright", "flit-core", "uv", "pip"}


def test_lock_serves_every_python_that_the_package_allows() -> None:
    # redis needs it before Python 3.11.3 only: without the marker the lock would be that of one interpreter.
    assert PYPROJECT["project"]["requires-python"] == ">=3.11"
    assert re.search(r"^async-timeout==\S+ ; python_full_version < '3\.11\.3'", (ROOT / RUNTIME).read_text(), re.M)
