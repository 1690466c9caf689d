"""Something that takes long to make, made once for all processes of a test run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import pytest


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that ``make`` has filled, in this process of pytest-xdist or in another. Tests only read it.

    ``make`` is given a path where nothing is yet. When it fails, it is tried again by the next that asks.
    """
    own = tmp_path_factory.getbasetemp()
    # A process of pytest-xdist has a folder of its own in that of the run.
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        if not folder.exists():
            being_made = Path(mkdtemp(dir=shared)) / name  # half of it must never be found under the final name
            make(being_made)
            being_made.rename(folder)
    return folder
