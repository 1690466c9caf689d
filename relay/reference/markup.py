"""HTML put together from values: text is escaped unless it is :class:`Html` already."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

_CODE = re.compile(r"`([^`]+)`")
_VOID = frozenset({"br", "hr", "input", "link", "meta"})


class Html(str):
    """Markup."""

    __slots__ = ()


Child = str | Iterable[str]


def tag(name: str, *children: Child, **attributes: str | bool) -> Html:
    """An element. An attribute's ``_`` stands for ``-``, and one at its end for none; True is one without a value."""
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not False)
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Children behind each other."""
    flat = (one for child in children for one in ((child,) if isinstance(child, str) else child))
    return Html("".join(one if isinstance(one, Html) else escape(one) for one in flat))


def prose(says: str) -> Html:
    """A sentence in which ```code``` is marked."""
    parts = _CODE.split(says)
    return join(tag("code", part) if i % 2 else part for i, part in enumerate(parts))


def _attribute(name: str, value: str | bool) -> str:
    shown = name.rstrip("_").replace("_", "-")
    return f" {shown}" if value is True else f' {shown}="{escape(str(value))}"'
