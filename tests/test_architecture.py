"""The house as ARCHITECTURE.md draws it: which room may know which, and what only one file may know."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "relay"

# From the ground up: a room may import from the floors below its own, and from itself. Rooms of one floor do not know
# each other. The key is the folder that has the floors; "" = relay/ itself.
FLOORS: dict[str, list[set[str]]] = {
    "": [
        {"errors", "clock", "log_writer", "network", "pace", "regex", "message_id", "builders"},
        {"redis_url", "address", "fair", "logs", "metrics", "work_bytes"},
        {"confined"},
        {"confined_process"},
        {"store"},
        {"letters", "setting_types", "setting_files"},
        {"settings", "message", "queues", "activity", "client"},
        {"mime", "accounts", "delivery", "testing"},
        {"inbound", "stream", "mailbox", "rendering"},
        {"waiting"},
        {"api", "web"},
        {"reference"},
        {"service"},
        {"cli"},
    ],
    "inbound": [
        {"webhook", "budget", "encoding"},
        {"proof"},
        {"providers"},
        {"reading"},
        {"intake"},
        {"door", "unserved", "fetching"},
    ],
    "delivery": [
        {"letter", "tombstones", "positions", "doorbells", "brought"},
        {"bus", "letterbox", "hub"},
        {"history", "subscriptions", "revalidation", "survey", "readahead"},
        {"replay_budget", "redis_clock"},
        {"replay", "catchup"},
        {"since", "node"},
    ],
    "service": [
        {"recovery", "descriptors", "health", "server", "outside", "weak_secrets"},
        {"clients", "late"},
        {"connection"},
        {"app"},
        {"serve"},
        {"workers"},
        {"ephemeral"},
    ],
}

# What a room offers to other rooms: the modules that they may import; "" = the package itself. A room that is not named
# offers itself whole.
OFFERS: dict[str, set[str]] = {
    "accounts": {
        "",
        "accounts",
        "addresses",
        "api_keys",
        "applied",
        "closing",
        "domains",
        "file",
        "gate",
        "reservation",
        "rights",
        "wrong_keys",
    },
    "activity": {"", "kinds", "reader"},
    "delivery": {
        "bus",
        "history",
        "letter",
        "letterbox",
        "node",
        "replay",
        "since",
        "survey",
    },
    "inbound": {"door", "fetching", "intake", "proof", "providers", "unserved", "webhook"},
    "queues": {"fetches", "parked"},
    "service": {"app", "serve", "weak_secrets", "workers"},
    "store": {"", "keys", "notices"},
}

ONLY = {
    "redis": {"store", "delivery.bus", "accounts"},
    "fakeredis": {"store"},
    "uvicorn": {"service"},
    "fast_mail_parser": {"mime"},
    "re2": {"regex"},
}

FILES = sorted(path for path in HOUSE.rglob("*.py") if path != HOUSE / "__init__.py")


def module_of(path: Path) -> str:
    """Dotted, without ``relay``: "delivery.bus"; of a package its own name."""
    return ".".join(path.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")


@cache
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


@cache
def known(path: Path) -> set[str]:
    """Names of ours that a file imports, without ``relay``."""
    return {name.removeprefix("relay.") for name in imports(path) if name.startswith("relay.")}


def inside(name: str, folder: str) -> str | None:
    """The room of a dotted name among those of a folder; None when it is not in it."""
    prefix = f"{folder}." if folder else ""
    return name.removeprefix(prefix).partition(".")[0] if name.startswith(prefix) else None


def by_id(path: Path) -> str:
    return str(path.relative_to(HOUSE))


@pytest.mark.parametrize("folder", FLOORS)
def test_every_room_has_its_floor(folder: str) -> None:
    rooms = {inside(module_of(path), folder) for path in FILES} - {None, ""}
    assert rooms == set().union(*FLOORS[folder])


@pytest.mark.parametrize("path", FILES, ids=by_id)
def test_arrows_point_down(path: Path) -> None:
    module = module_of(path)
    for folder, floors in FLOORS.items():
        floor_of = {room: floor for floor, rooms in enumerate(floors) for room in rooms}
        room = inside(module, folder)
        for name in known(path):
            other = inside(name, folder)
            if room in floor_of and other in floor_of and other != room:
                assert floor_of[other] < floor_of[room], f"{module} must not import {name}"


@pytest.mark.parametrize("path", FILES, ids=by_id)
def test_a_room_is_entered_by_what_it_offers(path: Path) -> None:
    module = module_of(path)
    for name in known(path):
        room, _, rest = name.partition(".")
        if room in OFFERS and room != module.partition(".")[0]:
            part = rest.partition(".")[0]
            is_module = (HOUSE / room / f"{part}.py").exists() or (HOUSE / room / part / "__init__.py").exists()
            assert (part if is_module else "") in OFFERS[room], f"{module} must not know {name}"


def test_what_is_offered_is_taken() -> None:
    """A list with more than that would hide a new arrow."""
    for room, parts in OFFERS.items():
        for part in parts:
            wanted = f"{room}.{part}".rstrip(".")
            takers = {module_of(path).partition(".")[0] for path in FILES if _takes(path, wanted)}
            assert takers - {room}, f"nobody takes {wanted}"


def _takes(path: Path, wanted: str) -> bool:
    return any(name == wanted or name.startswith(f"{wanted}.") for name in known(path))


def test_a_script_includes_parts_of_rooms_below() -> None:
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS[""]) for room in rooms}
    taken = {
        (path.parent.parent.name, room)
        for path in HOUSE.glob("*/lua/*.lua")
        for line in re.findall(r"^-- include: (.+)$", path.read_text(), re.MULTILINE)
        for room in re.findall(r"(\w+)/", line)
    }
    assert ("mailbox", "delivery") in taken
    for room, other in taken:
        assert floor_of[other] < floor_of[room], f"{room}/lua must not include parts of {other}"


@pytest.mark.parametrize("library", ONLY)
def test_a_library_is_known_to_its_rooms_only(library: str) -> None:
    users = {module_of(path) for path in FILES if any(name.split(".")[0] == library for name in imports(path))}
    assert users
    for user in users:
        assert any(user == room or user.startswith(f"{room}.") for room in ONLY[library]), user


def test_only_the_bus_subscribes() -> None:
    """Who follows channels must know what a broken link has missed; publishing is free."""
    users = {module_of(path) for path in FILES if re.search(r"\"P?SUBSCRIBE\"|pubsub\(", path.read_text())}
    assert users == {"delivery.bus"}


def test_the_environment_is_read_in_one_place() -> None:
    """One of the service, and one of the client and test kit, which has no settings.py."""
    reading = re.compile(r"os\.environ|getenv")
    readers = {str(path.relative_to(HOUSE)) for path in FILES if reading.search(path.read_text())}
    assert readers == {"settings.py", "testing/options.py"}


def test_no_room_is_a_lumber_room() -> None:
    names = {part for path in FILES for part in module_of(path).split(".")}
    assert not names & {"utils", "util", "helpers", "common", "manager", "misc", "base"}


def test_a_name_does_not_repeat_its_room() -> None:
    """``fetching.worker``, not ``fetching.fetching``; a room's main part may have its name (``mailbox.mailbox``)."""
    repeated = {
        module_of(path) for path in FILES if len(set(module_of(path).split("."))) < module_of(path).count(".") + 1
    }
    assert repeated <= {"accounts.accounts", "mailbox.mailbox"}


def test_no_function_is_named_like_its_module() -> None:
    """``routes.routes`` says nothing twice. The verbs of the command are what the person types."""
    same = {
        f"{module_of(path)}.{node.name}"
        for path in FILES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == path.stem
    }
    assert not {name for name in same if not name.startswith("cli.")}


def test_modules_stay_readable() -> None:
    """style.md: 90 to 300 lines; beyond 400 a file wants to be two."""
    long = {by_id(path): lines for path in FILES if (lines := path.read_text().count("\n")) > 400}
    assert not long
