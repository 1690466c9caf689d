"""Lua that runs inside Redis: one file a script, read once, and known to Redis by its SHA-1.

A script is a file ``relay/<room>/lua/<name>.lua``. A line ``-- include: find, cut`` among its first comments puts
``find.lua`` and ``cut.lua`` of the same folder before it; ``-- include: delivery/bury`` takes ``bury.lua`` of another
room. What an included file includes comes before that, and nothing comes twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
_INCLUDE = re.compile(r"^-- include: (.+)$", re.MULTILINE)

Argument = str | bytes | int


@dataclass(frozen=True, slots=True)
class Script:
    """One script, whole: what it includes is in its source."""

    name: str  # the file, relative to the package: "mailbox/lua/page.lua"
    source: str = field(repr=False)
    sha1: str = field(repr=False)  # Redis' name for it

    @classmethod
    def load(cls, name: str) -> Script:
        """Reads the file and what it includes. Raises OSError: one of them is not there."""
        source = "".join(text for _, text in parts(name))
        return cls(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())

    def call(self, keys: Sequence[str], args: Sequence[Argument] = ()) -> ScriptCall:
        """The script as a command for :meth:`Store.ask`; the store sends the source to a Redis that lacks it.

        ``keys`` share one hash tag, or the Redis is no cluster. What is large comes last in ``args``.
        """
        call = ScriptCall(("EVALSHA", self.sha1, len(keys), *keys, *args))
        call.script = self
        return call


class ScriptCall(tuple[Argument, ...]):
    """The command that runs a script by its SHA-1."""

    script: Script

    def with_source(self) -> tuple[Argument, ...]:
        """The command that brings the script along, and leaves it with Redis for next time."""
        return ("EVAL", self.script.source, *self[2:])


def parts(name: str) -> Sequence[tuple[str, str]]:
    """The files that make a script, in the order in which they stand in its source: their names and texts."""
    return list(dict(_parts(name)).items())


def _parts(name: str) -> Iterator[tuple[str, str]]:
    text = _read(name)
    for line in _INCLUDE.findall(text):
        for included in line.split(","):
            yield from _parts(_name_of(included.strip(), name))
    yield name, text


def _name_of(included: str, by: str) -> str:
    room, slash, script = included.rpartition("/")
    return f"{room}/lua/{script}.lua" if slash else f"{by.rpartition('/')[0]}/{script}.lua"


@cache
def _read(name: str) -> str:
    return (_PACKAGE / name).read_text("utf-8")
