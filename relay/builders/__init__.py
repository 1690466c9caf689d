"""Mail as its providers would post it, signed: for ``relay send --as``, the bench and the tests.

One file a provider, found by its name. Each has a function ``build(mail, recipients, secret, now)``, whose result is a
:class:`Built` or a plain tuple of the same: the mail's bytes, at least one recipient, the secret to sign with (a PEM
private key where the provider signs so), and an aware time for time stamps. It is pure: the same is the same post.
A provider with a key pair has ``pair()`` as well, see :func:`pair`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import import_module
from pkgutil import iter_modules
from typing import NamedTuple


class CannotBuild(ValueError):
    """The provider's post would not hold the whole mail, and the rest is nowhere to be fetched; the text says why."""


class Built(NamedTuple):
    """One request."""

    target: str  # path and query
    headers: list[tuple[str, str]]
    body: bytes


def names() -> list[str]:
    """Of all providers that have a builder."""
    found = (module.name for module in iter_modules(__path__))
    return sorted(name for name in found if _build(name))


def build(name: str, mail: bytes, recipients: Sequence[str], secret: str, now: datetime) -> Built:
    """The post of the provider ``name``. Some post for one recipient only: give one at a time to be sure.

    Raises LookupError: there is no such builder; CannotBuild; ValueError: what the secret cannot be used for.
    """
    if name not in names() or not (function := _build(name)):
        raise LookupError(f"no builder for {name}")
    return Built(*function(mail, list(recipients), secret, now))


def pair(name: str) -> tuple[str, str]:
    """A secret to build with and what ``RELAY_<NAME>_SECRET`` is then: for trying it out. Of any provider."""
    if name not in names():
        return _ANY, _ANY
    made: Callable[[], tuple[str, str]] | None = getattr(import_module(f"{__name__}.{name}"), "pair", None)
    return made() if made else (_ANY, _ANY)


_ANY = "a-secret-to-try-it-with"
_Build = Callable[[bytes, list[str], str, datetime], tuple[str, list[tuple[str, str]], bytes]]


def _build(name: str) -> _Build | None:
    """None for a module that is shared by builders, and is none."""
    function: _Build | None = getattr(import_module(f"{__name__}.{name}"), "build", None)
    return function
