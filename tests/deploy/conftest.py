"""The service of the command's tests, and a checkout for the tests of its scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import redis, service
from tests.deploy.checkout import copy

__all__ = ["redis", "service"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing but what make and .ci/run read."""
    return copy(tmp_path / "a checkout")  # a blank in the path is what breaks scripts first
