"""JSON events of providers, damaged at random: a parser takes them or refuses them with a documented error."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

_TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "\0",
        "a\r\nEvil: 1",
        "a@b.test",
        "=?idna?Q?x?=",
        "1e999",
        "nan",
        "-1",
        "YQ",
        "YQ==",
        "!",
        "0001-01-01",
        "\ud800",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, event: dict[str, Any]) -> bytes:
    """The event as JSON with up to three of its members, at any depth, replaced, removed, or put into a list.

    NaN and half surrogate pairs are written as Python writes them, which strict JSON does not allow.
    """
    event = copy.deepcopy(event)
    for _ in range(draw(st.integers(0, 3))):
        holder, key = draw(st.sampled_from(list(_places(event))))
        match draw(st.sampled_from(["replace", "remove", "wrap"])):
            case "replace":
                holder[key] = draw(VALUES)
            case "remove":
                del holder[key]
            case _:
                holder[key] = [holder[key]]
        if not event:
            break
    return json.dumps(event).encode()


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:
    for key in holder if isinstance(holder, dict) else range(len(holder)):
        yield holder, key
        if isinstance(holder[key], dict | list):
            yield from _places(holder[key])
