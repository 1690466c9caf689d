"""The lock files: complete, consistent, and silent about where they were made."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
RUNTIME, DEV, BUILD = "requirements.lock", "requirements-dev.lock", "requirements-build.lock"
LOCKS = [RUNTIME, DEV, BUILD]
FLOORS = ".ci/floors.lock"
CI_LOCKS = [FLOORS, ".ci/installers.lock"]
OLDEST_PIP = "tests/deploy/oldest-pip.lock"  # written by hand: of what this package was made for, and never newer
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


def pins_here(lock: str) -> dict[str, str]:
    """Package -> version, of those that pip would install with this interpreter on this platform."""
    return {
        found["name"]: found["version"]
        for found in PIN.finditer((ROOT / lock).read_text())
        if found["marker"] is None or Marker(found["marker"].removeprefix(" ;")).evaluate()
    }


def asked_of(lock: str) -> list[str]:
    """The requirements from which a lock was made."""
    runtime: list[str] = PYPROJECT["project"]["dependencies"]
    dev: list[str] = PYPROJECT["project"]["optional-dependencies"]["dev"]
    build: list[str] = PYPROJECT["build-system"]["requires"]
    return {RUNTIME: runtime, DEV: runtime + dev, BUILD: build}[lock]


def unmet(locked: dict[str, str], asked: list[str]) -> list[str]:
    """What is lacking of all that ``asked``, the locked distributions and the extras that they ask for require."""
    waiting = [("", requirement, "") for requirement in asked]
    waiting += [(name, requirement, "") for name in locked for requirement in distribution(name).requires or []]
    lacking: list[str] = []
    seen: set[tuple[str, str]] = set()
    while waiting:
        whose, text, extra = waiting.pop()
        wish = Requirement(text)
        name = normal(wish.name)
        if wish.marker and not wish.marker.evaluate({"extra": extra}):
            continue
        if name not in locked or not wish.specifier.contains(locked[name], prereleases=True):
            lacking.append(f"{whose}[{extra}] requires {text}, locked is {locked.get(name)}")
            continue
        for further in {(name, normal(one)) for one in wish.extras} - seen:
            seen.add(further)
            waiting += [(name, requirement, further[1]) for requirement in distribution(name).requires or []]
    return lacking


@pytest.mark.parametrize("lock", [*LOCKS, *CI_LOCKS, OLDEST_PIP])
def test_lock_is_pins_with_hashes_and_nothing_else(lock: str) -> None:
    text = (ROOT / lock).read_text()
    rest = PIN.sub("", text)
    assert [line for line in rest.splitlines() if line and not line.startswith("#")] == []
    for found in PIN.finditer(text):
        hashes = found["hashes"].replace("\\\n", "").split()
        assert hashes, found["name"]
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)


@pytest.mark.parametrize("lock", [*LOCKS, *CI_LOCKS])
def test_lock_does_not_tell_where_it_was_made(lock: str) -> None:
    text = (ROOT / lock).read_text()
    for trace in ("://", "index-url", "find-links", "trusted-host", "/", "\\Users", ".org", ".com"):
        assert trace not in text.replace("\\\n", ""), trace


def test_all_that_the_package_needs_is_locked() -> None:
    assert wanted(PYPROJECT["project"]["dependencies"]) <= pins(RUNTIME).keys()
    for extra in PYPROJECT["project"]["optional-dependencies"].values():
        assert wanted(extra) <= pins(DEV).keys()
    assert wanted(PYPROJECT["build-system"]["requires"]) <= pins(BUILD).keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_closed_on_this_platform(lock: str) -> None:
    # It is installed without a resolver, so nobody else adds what is missing or says that two versions do not fit.
    locked = pins_here(lock)
    assert {name: distribution(name).version for name in locked} == locked, "install anew: make install"
    assert unmet(locked, asked_of(lock)) == []


@pytest.mark.parametrize(
    ("without", "because"),
    [
        ("redis", "[] requires redis"),  # asked for by this package
        ("h11", "uvicorn[] requires h11"),  # by another
        ("httptools", "uvicorn[standard] requires httptools"),  # by an extra, and by nothing else
        ("cffi", "cryptography[] requires cffi"),  # for some interpreters, by a marker
    ],
)
def test_a_lock_that_lacks_something_would_be_seen(without: str, because: str) -> None:
    locked = pins_here(RUNTIME)
    del locked[without]
    assert any(line.startswith(because) for line in unmet(locked, asked_of(RUNTIME)))


def test_a_version_that_does_not_fit_would_be_seen() -> None:
    locked = pins_here(RUNTIME) | {"anyio": "2.0"}
    assert any(line.endswith("locked is 2.0") for line in unmet(locked, asked_of(RUNTIME)))


def test_floors_are_tried_as_they_stand() -> None:
    # .ci/installs runs the service with these. A floor that is no release, or was moved without `make lock`, is tried
    # by nobody.
    locked = pins(FLOORS)
    for text in PYPROJECT["project"]["dependencies"]:
        wish = Requirement(text)
        (floor,) = wish.specifier
        assert floor.operator == ">=", text
        assert Version(locked[normal(wish.name)]) == Version(floor.version), text


def test_a_package_has_one_version_in_all_locks() -> None:
    assert pins(RUNTIME).items() <= pins(DEV).items()
    assert pins(BUILD).items() <= pins(DEV).items()


def test_runtime_has_no_tool_of_development() -> None:
    assert not pins(RUNTIME).keys() & {"pytest", "mypy", "ruff", "playwright", "flit-core", "uv", "pip"}


def test_lock_serves_every_python_that_the_package_allows() -> None:
    # redis needs it before Python 3.11.3 only: without the marker the lock would be that of one interpreter.
    assert PYPROJECT["project"]["requires-python"] == ">=3.11"
    assert re.search(r"^async-timeout==\S+ ; python_full_version < '3\.11\.3'", (ROOT / RUNTIME).read_text(), re.M)
