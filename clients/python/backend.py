"""Builds the client and test kit out of the checkout in which it stands, so that no source exists twice.

A build backend of PEP 517 around flit_core: ``pip install ./clients/python`` works as well as ``make dist``. It puts
the files of ``relay/`` that pyproject.toml names, and the licence, into a folder of their own; flit_core builds there.
In an sdist they lie beside this file already. There is no editable install: it would show the whole of ``relay/``.
"""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from flit_core import buildapi  # type: ignore[import-untyped]

_HERE = Path(__file__).resolve().parent
_CHECKOUT = _HERE.parent.parent
_OWN_FILES = ("pyproject.toml", "README.md", "backend.py")


def build_wheel(
    wheel_directory: str,
    config_settings: Mapping[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """The name of the file. Raises FileNotFoundError: this folder stands in no checkout."""
    folder = str(Path(wheel_directory).resolve())
    with _sources():
        return str(buildapi.build_wheel(folder, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Mapping[str, Any] | None = None) -> str:
    """The name of the file. Raises FileNotFoundError: this folder stands in no checkout."""
    folder = str(Path(sdist_directory).resolve())
    with _sources():
        return str(buildapi.build_sdist(folder, config_settings))


@contextmanager
def _sources() -> Iterator[None]:
    """The current folder has everything that is built."""
    if (_HERE / "relay").is_dir():
        with chdir(_HERE):
            yield
        return
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        _gather(Path(folder))
        yield


def _gather(folder: Path) -> None:
    for name in _OWN_FILES:
        shutil.copy2(_HERE / name, folder)
    shutil.copy2(_CHECKOUT / "LICENSE", folder)
    (folder / "relay").mkdir()
    for name in tomllib.loads((_HERE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["relay-kit"][
        "files"
    ]:
        source = _CHECKOUT / "relay" / name
        if source.is_dir():
            shutil.copytree(source, folder / "relay" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / "relay")
