"""The Dockerfile, as far as it can be judged without building it."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

from relay import __version__

ROOT = Path(__file__).parents[2]
HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"
TEXT = (ROOT / "Dockerfile").read_text()
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def instructions() -> list[tuple[str, str]]:
    """(instruction, rest) in order, continued lines joined and comments left out."""
    lines = [line for line in TEXT.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


def last(instruction: str) -> str:
    return [rest for word, rest in instructions() if word == instruction][-1]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def copied() -> list[str]:
    """What COPY takes from this checkout."""
    sources: list[str] = []
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from="):
            sources += rest.split()[:-1]
    return sources


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps this path out: the last pattern that fits it or a folder of it decides."""
    out = False
    parts = path.rstrip("/").split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        bare = pattern.removeprefix("!").rstrip("/")
        anywhere = bare.removeprefix("**/")
        if any(
            fnmatch.fnmatch(part, bare) or (bare != anywhere and fnmatch.fnmatch(part.split("/")[-1], anywhere))
            for part in above
        ):
            out = not pattern.startswith("!")
    return out


def test_hadolint_has_nothing_to_say(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(HADOLINT), "--no-color", str(ROOT / "Dockerfile")],
        cwd=tmp_path,  # and no HOME: nobody's configuration silences a rule
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "hadolint ignore" not in TEXT


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_exists_and_is_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    assert not ignored(source)


def test_all_of_the_package_is_let_through() -> None:
    for path in (ROOT / "relay").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert not ignored(str(path.relative_to(ROOT))), path


@pytest.mark.parametrize(
    "path", [".git/config", ".env", ".venv/bin/python", "accounts.toml", "tests/x.py", "relay/__pycache__/x.pyc"]
)
def test_everything_else_stays_out(path: str) -> None:
    assert ignored(path)


def test_all_that_the_build_reads_is_copied() -> None:
    assert {PROJECT["readme"], *PROJECT["license-files"]} <= set(copied())
    for name in re.findall(r"--requirement (\S+)", TEXT):
        assert name in copied()


def test_both_stages_have_the_same_python() -> None:
    # The environment's python is a link to the one of the stage that made it.
    bases = [stage[0][1].split()[0] for stage in stages()]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    version = re.fullmatch(r"python:3\.(\d+)-slim", bases[0])
    assert version
    assert int(version[1]) >= int(PROJECT["requires-python"].removeprefix(">=3."))


def test_commands_are_the_console_script() -> None:
    (script,) = PROJECT["scripts"]
    assert json.loads(last("ENTRYPOINT")) == [script]
    health = last("HEALTHCHECK")
    assert json.loads(health[health.index("[") :]) == [script, "check"]
    assert json.loads(last("CMD")) == ["serve"]


def test_everything_installed_is_locked() -> None:
    commands = " && ".join(rest for word, rest in instructions() if word == "RUN")
    installs = re.findall(r"pip (?:--python \S+ )?install ([^&]+)", commands)
    assert len(installs) == 3
    for arguments in installs:
        assert "--require-hashes" in arguments or {"--no-deps", "--no-index"} <= set(arguments.split())
    assert "pip wheel --no-deps --no-build-isolation" in TEXT


def test_the_running_stage_needs_no_right() -> None:
    runtime = dict(stages()[-1])
    assert re.fullmatch(r"(\d+):(\d+)", runtime["USER"])
    assert runtime["USER"] == "10001:10001"
    assert runtime["EXPOSE"] == "8000"
    assert runtime["STOPSIGNAL"] == "SIGTERM"
    assert "RUN" not in runtime
    for variable in ("PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "RELAY_HOST=0.0.0.0"):
        assert variable in runtime["ENV"]


def test_label_has_the_version_of_the_package() -> None:
    assert f'org.opencontainers.image.version="{__version__}"' in TEXT
