"""The client and test kit: what is in it, and how it does in an environment that has nothing of the service."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
import zipfile
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import relay
from tests.cli.service import ADDRESS, KEY, SECRET, Service
from tests.deploy.strange_venv import StrangeVenv, output, pack

ROOT = Path(__file__).parents[2]
KIT = ROOT / "clients" / "python"
NAME = "relay-inbound-client"
MOST_PACKAGES = 12
PYPROJECT: dict[str, Any] = tomllib.loads((KIT / "pyproject.toml").read_text())

LISTENER = """
import asyncio, sys
from relay.client import listen

async def main():
    url, key, address = sys.argv[1:]
    async with listen(url, key=key, addresses=[address]) as messages:
        print("listens", flush=True)
        async for message in messages:
            print(message["subject"])
            break

asyncio.run(main())
"""
TESTS = """
from relay.testing import Inbox, Mail, NothingCame, RelayService, TestInbox

def test_sign_up(relay_inbox, relay_service):
    assert isinstance(relay_inbox, TestInbox) and isinstance(relay_service, RelayService)
    relay_inbox.post(b"Subject: Confirm\\r\\n\\r\\nYour code: 482913\\r\\n")
    assert relay_inbox.wait(subject="confirm").code == "482913"
"""
ONE = "def test_sign_up(relay_inbox):\n    pass\n"
CONFTEST_OF_EARLIER_VERSIONS = 'pytest_plugins = ["relay.testing"]\n'


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of service and kit, and of all that the kit and pytest need."""
    folder = tmp_path_factory.mktemp("wheels")
    build = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    output(sys.executable, *build, ROOT, KIT, folder=folder)
    pack([*(Requirement(text).name for text in PYPROJECT["project"]["dependencies"]), "pytest"], folder)
    return folder


@pytest.fixture(scope="module")
def wheel(wheels: Path) -> Path:
    """The kit's."""
    (wheel,) = wheels.glob("relay_inbound_client-*.whl")
    return wheel


@pytest.fixture(scope="module")
def alone(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> StrangeVenv:
    """With nothing but the kit."""
    venv = StrangeVenv(tmp_path_factory.mktemp("alone"))
    venv.install(NAME, wheels=wheels)
    return venv


@pytest.fixture(scope="module")
def with_pytest(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> StrangeVenv:
    """With the kit and pytest."""
    venv = StrangeVenv(tmp_path_factory.mktemp("with-pytest"))
    venv.install(f"{NAME}[pytest]", wheels=wheels)
    return venv


def run_tests(
    venv: StrangeVenv, folder: Path, *options: str, tests: str, conftest: str = "", **settings: str
) -> str:
    """What pytest prints in an application's folder."""
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_shop.py").write_text(tests)
    pytest_ = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py", *options)
    return venv.run(*pytest_, folder=folder, **settings)


def modules(wheel: Path) -> dict[str, str]:
    """Dotted name -> source, of all in a wheel."""
    with zipfile.ZipFile(wheel) as opened:
        return {
            re.sub(r"/__init__\.py$|\.py$", "", name).replace("/", "."): opened.read(name).decode()
            for name in opened.namelist()
            if name.endswith(".py")
        }


def imported(source: str) -> set[str]:
    """Modules that a source imports at any depth, and what it takes out of them, which may be a module as well."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def is_module_of_relay(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


# --- What is in it -----------------------------------------------------------------------------------------------


def test_what_it_imports_of_relay_is_in_it(wheel: Path) -> None:
    held = modules(wheel)
    wanted = {name for source in held.values() for name in imported(source) if is_module_of_relay(name)}
    assert wanted - held.keys() == set()
    assert {"relay.client", "relay.testing"} <= held.keys()


def test_what_it_imports_of_others_is_what_it_requires(wheel: Path) -> None:
    tops = {name.partition(".")[0] for source in modules(wheel).values() for name in imported(source)}
    strangers = tops - sys.stdlib_module_names - {"relay"}
    homes = packages_distributions()
    required = {Requirement(text).name for text in PYPROJECT["project"]["dependencies"]}
    assert {homes[name][0] for name in strangers} == required | {"pytest"}


def test_nothing_exists_twice(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        for name in opened.namelist():
            if name.startswith("relay/"):
                assert opened.read(name) == (ROOT / name).read_bytes(), name
    kept = {path.name for path in KIT.iterdir()} - {"__pycache__"}
    assert kept == {"README.md", "backend.py", "pyproject.toml"}


def test_its_metadata_is_that_of_the_service(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (info,) = (name for name in opened.namelist() if name.endswith("/METADATA"))
        metadata = Parser().parsestr(opened.read(info).decode())
        licence = opened.read(info.replace("METADATA", "licenses/LICENSE"))
    service = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert metadata["Version"] == relay.__version__
    assert metadata["Requires-Python"] == service["project"]["requires-python"]
    assert licence == (ROOT / "LICENSE").read_bytes()
    # By the same name, so that pytest takes only one of them where both are installed.
    assert service["project"]["entry-points"]["pytest11"] == PYPROJECT["project"]["entry-points"]["pytest11"]
    assert service["build-system"]["requires"] == PYPROJECT["build-system"]["requires"]


def test_its_sdist_builds_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    build = f"import backend; backend.build_sdist({str(tmp_path)!r})"
    output(sys.executable, "-B", "-c", build, folder=KIT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    build_wheel = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path)
    output(sys.executable, *build_wheel, sdist, folder=tmp_path)
    (again,) = tmp_path.glob("*.whl")
    assert modules(again) == modules(wheel)


# --- How it does -------------------------------------------------------------------------------------------------


def test_an_empty_environment_gets_few_packages(alone: StrangeVenv) -> None:
    installed = alone.installed()
    assert NAME in installed
    assert len(installed) <= MOST_PACKAGES, installed


def test_its_client_listens(alone: StrangeVenv, service: Service, tmp_path: Path) -> None:
    with alone.start("-W", "error", "-c", LISTENER, service.url, KEY, ADDRESS, folder=tmp_path) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "listens\n"
        service.post("to a stranger")
        assert program.communicate()[0] == "to a stranger\n"
    assert program.returncode == 0


@pytest.mark.parametrize("conftest", ["", CONFTEST_OF_EARLIER_VERSIONS])
def test_its_fixtures_need_no_conftest(
    with_pytest: StrangeVenv, service: Service, tmp_path: Path, conftest: str
) -> None:
    options = ("-W", "error", "--relay-url", service.url, "--relay-domain", "mailsac.com")
    keys = {"MAILSAC_KEY": KEY, "RELAY_RAW_SECRET": SECRET}
    assert "1 passed" in run_tests(with_pytest, tmp_path, *options, tests=TESTS, conftest=conftest, **keys)


def test_without_the_service_one_sentence_says_what_to_install(with_pytest: StrangeVenv, tmp_path: Path) -> None:
    printed = run_tests(with_pytest, tmp_path, tests=ONE)
    shown = printed.partition("ERROR at setup of test_sign_up")[2].partition("short test summary")[0]
    said = [line for line in shown.splitlines() if line.strip("_= ")]
    assert said == [
        f"a relay of the tests' own takes the service: install relay-inbound {relay.__version__} here as well, or"
        " name a relay that runs already with --relay-url"
    ]


def test_it_can_be_switched_off(with_pytest: StrangeVenv, tmp_path: Path) -> None:
    printed = run_tests(with_pytest, tmp_path, "-p", "no:relay.testing", tests=ONE)
    assert "fixture 'relay_inbox' not found" in printed


def test_a_project_that_asks_for_no_fixture_imports_next_to_nothing(
    with_pytest: StrangeVenv, tmp_path: Path
) -> None:
    program = "import pytest, sys; before = {*sys.modules}; import relay.testing; print(*{*sys.modules} - before)"
    brought = set(with_pytest.run("-c", program, folder=tmp_path).split())
    assert brought - sys.stdlib_module_names == {"relay", "relay.testing", "relay.testing.options"}


def test_beside_the_service_it_starts_one(wheels: Path, tmp_path: Path) -> None:
    venv = StrangeVenv(tmp_path / "venv")
    venv.install(*wheels.glob("relay*.whl"), wheels=wheels, needs=False)
    (packages,) = venv.folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(f"{others_packages(tmp_path / 'others')}\n")
    assert "1 passed" in run_tests(venv, tmp_path, tests=TESTS)


def others_packages(folder: Path) -> Path:
    """What the service and pytest need, out of the environment of these tests, but no plugin of pytest."""
    folder.mkdir()
    for path in Path(pytest.__file__).parents[1].iterdir():
        entries = path / "entry_points.txt"
        if not (entries.exists() and "[pytest11]" in entries.read_text()):
            (folder / path.name).symlink_to(path)
    return folder
