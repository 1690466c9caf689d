"""Somebody else's environment: a venv that begins empty, and a folder of wheels in place of an index.

The wheels are those of which the environment of these tests was installed, packed again of their files: no network is
asked, and pip resolves as it does for a stranger.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, PackagePath, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


class StrangeVenv:
    """A venv in ``folder``, without pip: in it is what was asked for, and what that needs."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self.folder = folder
        self.python = folder / "bin" / "python"

    def install(self, *requirements: str | Path, wheels: Path, needs: bool = True) -> None:
        """From a folder of wheels, by the pip of these tests; ``needs=False``: without what they require."""
        options = [
            "--quiet",
            "--no-compile",
            "--no-index",
            "--find-links",
            wheels,
            *(() if needs else ("--no-deps",)),
        ]
        self._pip("install", *options, *requirements)

    def installed(self) -> set[str]:
        """The names that pip lists. Fails when something that is needed is not there."""
        self._pip("check")
        return {canonicalize_name(one["name"]) for one in json.loads(self._pip("list", "--format", "json"))}

    def run(self, *arguments: str | Path, folder: Path, **settings: str) -> str:
        """What its Python prints, however it ends."""
        with self.start(*arguments, folder=folder, **settings) as process:
            return process.communicate()[0]

    def start(self, *arguments: str | Path, folder: Path, **settings: str) -> subprocess.Popen[str]:
        """Its Python, while it runs; stdout has stderr in it."""
        return subprocess.Popen(
            [self.python, *arguments],
            cwd=folder,
            env=_environment(folder) | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _pip(self, *arguments: str | Path) -> str:
        return output(sys.executable, "-m", "pip", "--python", self.python, *arguments, folder=self.folder)


def output(*command: str | Path, folder: Path) -> str:
    """What a program prints on stdout. Fails with all that it says when the program does."""
    ended = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _environment(home: Path) -> dict[str, str]:
    """Nothing of this process that a stranger does not have."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": str(home), "COLUMNS": "80", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def pack(names: Iterable[str], folder: Path) -> None:
    """Makes the wheels of these distributions, and of all that they need here, in ``folder``."""
    todo, done = list(names), set[str]()
    while todo:
        name = canonicalize_name(todo.pop())
        if name not in done:
            done.add(name)
            found = distribution(name)
            _pack(found, folder)
            todo += _needed(found)


def _needed(found: Distribution) -> list[str]:
    wanted = [Requirement(text) for text in found.requires or ()]
    return [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]


def _pack(found: Distribution, folder: Path) -> None:
    tags = [tag.split("-") for tag in re.findall(r"^Tag: (\S+)", found.read_text("WHEEL") or "", re.MULTILINE)]
    tag = "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*tags, strict=True))
    name = canonicalize_name(found.name).replace("-", "_")
    files = [file for file in found.files or () if _is_of_the_wheel(file)]
    record = next(f"{file.parts[0]}/RECORD" for file in files if file.name == "METADATA")
    with zipfile.ZipFile(folder / f"{name}-{found.version}-{tag}.whl", "w") as wheel:
        for file in files:
            wheel.write(str(file.locate()), file.as_posix())
        wheel.writestr(record, "".join(f"{path},,\n" for path in [*(file.as_posix() for file in files), record]))


def _is_of_the_wheel(file: PackagePath) -> bool:
    """Not a script or a header, which are elsewhere, and not what the install or a run has made."""
    return file.parts[0] != ".." and "__pycache__" not in file.parts and file.name != "RECORD"
