"""The house as ARCHITECTURE.md draws it: which room may know which, and what only one file may know."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "relay"

# From the ground up. A file may import from the levels below its own, and from its own room.
LEVELS = [
    {"errors"},
    {
        "address",
        "deleted",
        "fair",
        "keys",
        "message_id",
        "network",
        "notices",
        "logs",
        "metrics",
        "redis_url",
        "regex",
    },
    {"settings", "positions", "client"},
    {"store", "message"},
    {"mime", "bus", "letterbox", "parked", "fetches", "hub", "accounts", "activity"},
    {"inbound", "builders", "history", "subscriptions", "audit", "census", "mailbox", "rendering"},
    {"catchup", "replay", "waiting"},
    {"node", "since"},
    {"stream", "api", "web"},
    {"reference"},
    {"app", "connection", "server"},
    {"serve"},
    {"workers"},
    {"cli", "beside"},
    {"testing"},
]
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

ONLY = {
    "redis": {"store", "bus", "accounts"},
    "fakeredis": {"store"},
    "uvicorn": {"serve", "server", "connection"},
    "fast_mail_parser": {"mime"},
    "re2": {"regex"},
}


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the full name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


FILES = sorted(path for path in HOUSE.rglob("*.py") if path.parent != HOUSE or path.name != "__init__.py")


def test_every_room_has_its_level() -> None:
    assert {room_of(path) for path in FILES} == set(LEVEL_OF)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_arrows_point_down(path: Path) -> None:
    room = room_of(path)
    for name in imports(path):
        package, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if package == "relay" and other != room and other in LEVEL_OF:
            assert LEVEL_OF[other] < LEVEL_OF[room], f"{room} must not import {other}"


@pytest.mark.parametrize("library", ONLY)
def test_a_library_is_known_to_its_rooms_only(library: str) -> None:
    users = {room_of(path) for path in FILES if any(name.split(".")[0] == library for name in imports(path))}
    assert users <= ONLY[library]


def test_the_environment_is_read_in_one_place() -> None:
    readers = {room_of(path) for path in FILES if re.search(r"os\.environ|getenv", path.read_text())}
    assert readers == {"settings"}


def test_no_room_is_a_lumber_room() -> None:
    names = {part for path in FILES for part in path.relative_to(HOUSE).with_suffix("").parts}
    assert not names & {"utils", "util", "helpers", "common", "manager", "misc", "base"}


def test_modules_stay_readable() -> None:
    """style.md: 90 to 300 lines; beyond 400 a file wants to be two."""
    long = {str(path.relative_to(HOUSE)): lines for path in FILES if (lines := path.read_text().count("\n")) > 400}
    assert not long
