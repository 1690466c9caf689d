"""JSON Schema as a person reads it: a row for each member, and what it is in a word or two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import orjson

from relay.reference.markup import Html, join, prose, tag
from relay.reference.vocabulary import Schema

_REF = "#/components/schemas/"


def table(caption: str, heads: Sequence[str], rows: Sequence[Html]) -> Html:
    """A table that scrolls where it is too wide; nothing when it has no rows. ``caption`` "" = it needs none."""
    if not rows:
        return Html()
    head = tag("tr", (tag("th", one, scope="col") for one in heads))
    title = tag("caption", caption) if caption else ""
    whole = tag("table", title, tag("thead", head), tag("tbody", rows))
    label = caption or "Members"
    return tag(
        "div",
        whole,
        class_=f"table-scroll docs-table docs-columns-{len(heads)}",
        tabindex="0",
        role="group",
        aria_label=label,
    )


def rows_of(schema: Schema) -> list[Html]:
    """One for each member of an object; none when it is something else."""
    return [row(name, shape, str(shape.get("description", "")), note) for name, shape, note in _members(schema)]


def row(name: str, schema: Schema, says: str, note: str = "") -> Html:
    """Name, what it is, what it means."""
    soft = join(tag("br"), tag("span", note, class_="soft small")) if note else ""
    return tag(
        "tr",
        tag("td", tag("code", name), soft),
        tag("td", type_of(schema)),
        tag("td", prose(says), _bounds(schema)),
    )


def _bounds(schema: Schema) -> str:
    """What a parameter may be, and is when it is not given."""
    default = f"; {schema['default']} when it is not given" if "default" in schema else ""
    if "minimum" in schema and "maximum" in schema:
        return f" ({schema['minimum']} to {schema['maximum']}{default})"
    return f" ({default.removeprefix('; ')})" if default else ""


def type_of(schema: Schema) -> Html:
    """A word or two; shapes that have a name are linked."""
    if name := str(schema.get("$ref", "")).removeprefix(_REF):
        return tag("a", name, href=f"#shape-{name}")
    if "const" in schema:
        return tag("code", orjson.dumps(schema["const"]).decode())
    if choices := [tag("code", str(one)) for one in schema.get("enum", ())]:
        return _between(" or ", choices)
    if choices := [type_of(one) for one in schema.get("oneOf", ())]:
        return _between(" or ", choices)
    kinds = schema.get("type", "any")
    return _between(" or ", (_kind(one, schema) for one in ([kinds] if isinstance(kinds, str) else kinds)))


def _kind(kind: str, schema: Schema) -> Html:
    """One of JSON's, with what it holds when that is worth a word."""
    if kind == "array" and "items" in schema:
        return join("list of ", type_of(schema["items"]))
    if kind == "object" and schema.get("properties") and not schema.get("description"):
        inner = (join(tag("code", name), ": ", type_of(shape)) for name, shape, _note in _members(schema))
        return join("object of ", _between(", ", inner))
    return Html(kind)


def _between(word: str, parts: Iterable[Html]) -> Html:
    return Html(word.join(parts))


def _members(schema: Schema) -> Iterator[tuple[str, Schema, str]]:
    """Name, shape and "may be absent" or "" of each member."""
    needed = schema.get("required", ())
    for name, shape in schema.get("properties", {}).items():
        # In what is sent to us often nothing need be there: then there is nothing to tell apart.
        yield name, shape, "may be absent" if needed and name not in needed else ""
