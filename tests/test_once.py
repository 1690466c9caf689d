"""What all processes of a test run share is made once, whoever comes first."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.once import made_once

_ASKERS = 4


def test_who_asks_at_the_same_time_gets_the_same_and_whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Threads here; for the lock they are as good as processes, because each opens the file for itself."""
    name, made = uuid4().hex, []
    tmp_path_factory.getbasetemp()  # makes it: a process does that once, before it asks
    all_here = threading.Barrier(_ASKERS)

    def make(folder: Path) -> None:
        made.append(folder)
        time.sleep(0.2)  # without a lock the others would see meanwhile that nothing is there
        folder.mkdir()
        (folder / "first").touch()
        (folder / "last").touch()

    def ask(_number: int) -> list[str]:
        all_here.wait()
        return sorted(path.name for path in made_once(tmp_path_factory, name, make).iterdir())

    with ThreadPoolExecutor(_ASKERS) as askers:
        assert list(askers.map(ask, range(_ASKERS))) == [["first", "last"]] * _ASKERS
    assert len(made) == 1


def test_what_could_not_be_made_is_made_for_the_next(tmp_path_factory: pytest.TempPathFactory) -> None:
    name = uuid4().hex

    def fail(folder: Path) -> None:
        folder.mkdir()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        made_once(tmp_path_factory, name, fail)
    assert made_once(tmp_path_factory, name, Path.mkdir).is_dir()
