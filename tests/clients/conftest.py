"""Clients that others wrote, run against a relay."""

from __future__ import annotations

import pytest

from tests.node_packages import NODE_FOLDER

__all__ = ["NODE_FOLDER", "redis_url"]


@pytest.fixture
def redis_url() -> str:
    """One store is enough here: a client sees no difference."""
    return "memory://"
