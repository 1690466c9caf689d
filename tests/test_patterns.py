"""Every regular expression of relay/ means the same on every Python that we name.

Before 3.11.5 a possessive quantifier around a group, or an atomic group, matches wrongly: gh-100061 (what a failed
repeat took stays taken, 3.11.0 and 3.11.1) and gh-106052 (what can be matched in two ways inside, up to 3.11.4; even
"(?:%[0-9A-F]{2})++", which cannot). gh-101955 (SystemError) is in 3.13.0 still. Behind one character or set it is
another opcode, right everywhere and of use, because a set's repeat then cannot cost quadratic time.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).parent.parent / "relay"
FILES = [
    path for path in sorted(HOUSE.rglob("*.py")) if re.search(r"^\s*(import re|from re)\b", path.read_text(), re.M)
]
TAKES_A_PATTERN = {"compile", "match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
ONE_CHARACTER = {"LITERAL", "NOT_LITERAL", "IN", "ANY"}
parser = import_module("re._parser")

# Patterns that a function makes of a value, so that no constant has all of them: the file, and what it makes.
MADE_BY_A_FUNCTION = {"reference/vocabulary.py": "re.fullmatch(pattern, "}


def badly_possessive(pattern: str | bytes, flags: int = 0) -> list[str]:
    """The kinds of what some Python matches wrongly, in order."""
    return list(_bad(parser.parse(pattern, flags)))


def _bad(node: Any) -> Iterator[str]:
    if not isinstance(node, parser.SubPattern | tuple | list):
        return
    if isinstance(node, tuple) and node and str(node[0]) == "ATOMIC_GROUP":
        yield "ATOMIC_GROUP"
    if isinstance(node, tuple) and node and str(node[0]) == "POSSESSIVE_REPEAT":
        body = node[1][2]
        if len(body) != 1 or str(body[0][0]) not in ONE_CHARACTER:
            yield "POSSESSIVE_REPEAT"
    for inner in node:
        yield from _bad(inner)


class _Names(dict[str, Any]):
    """A module's names; a local one, which only a call would know, is some word."""

    def __init__(self, names: Mapping[str, Any], word: str | bytes = "word") -> None:
        super().__init__(names)
        self._word = word

    def __missing__(self, name: str) -> str | bytes:
        return self._word


def patterns(source: str, names: Mapping[str, Any]) -> Iterator[tuple[int, str | bytes, int]]:
    """Line, pattern and flags of each call of ``re`` in the source of a module that has these names."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("re"), attr=called)) if called in TAKES_A_PATTERN:
                flags = [keyword.value for keyword in node.keywords if keyword.arg == "flags"]
                flags += node.args[1:2] if called == "compile" else []
                yield node.lineno, _value(node.args[0], names), _value(flags[0], names) if flags else 0


def _value(expression: ast.expr, names: Mapping[str, Any]) -> Any:
    code = compile(ast.Expression(expression), "<pattern>", "eval")
    try:
        return eval(code, {}, _Names(names))  # noqa: S307 -- our own source
    except TypeError:  # a pattern of bytes
        return eval(code, {}, _Names(names, word=b"word"))  # noqa: S307


def names_of(path: Path) -> Mapping[str, Any]:
    module = ".".join(path.relative_to(HOUSE.parent).with_suffix("").parts).removesuffix(".__init__")
    return vars(importlib.import_module(module))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_possessive_quantifier_stands_behind_one_character(path: Path) -> None:
    bad = {
        line: pattern
        for line, pattern, flags in patterns(path.read_text(), names_of(path))
        if badly_possessive(pattern, flags)
    }
    assert not bad


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_every_pattern_is_seen(path: Path) -> None:
    """``re`` under its own name, and each pattern in the call itself."""
    source = path.read_text()
    assert not re.search(r"^\s*(from re import|import re as)\b", source, re.M)
    local = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("re.") in TAKES_A_PATTERN
        if ast.unparse(node.func).startswith("re.") and isinstance(node.args[0], ast.Name)
        if node.args[0].id not in names_of(path)
    ]
    known = MADE_BY_A_FUNCTION.get(str(path.relative_to(HOUSE)), "")
    assert all(known and call.startswith(known) for call in local), local


@pytest.mark.parametrize(
    "pattern",
    [
        r'"(?:[^"\\]|\\.)*+"',
        r"(?:=[^=]*)*+",
        r"(?:\*(\d{1,3}))?+",
        r"(?:%[0-9A-F]{2})++",
        r"(a)?+",
        r"a(?:b(?:c|(?:de)++))",
        r"(?=(?:ab)*+)",
        r"(?>a*)",
        r"x|(?:ab){0,9}+",
        rb"(?:ab)*+",
    ],
)
def test_what_is_refused(pattern: str | bytes) -> None:
    assert badly_possessive(pattern)
    assert badly_possessive(b"(?x) " + pattern if isinstance(pattern, bytes) else "(?x) " + pattern)


@pytest.mark.parametrize(
    "pattern", [r'[^"]*+"', r"a++", r".?+", r"\s{0,32}+", r"(\d++)", r"(?:[a|b]*+c)*", r"\)*+", r"[^x]++"]
)
def test_what_is_allowed(pattern: str) -> None:
    assert not badly_possessive(pattern)


def test_a_pattern_is_put_together_of_the_names_of_its_module() -> None:
    source = "import re\ndef f(x): return re.sub(rf'{A}{x}', '', x, flags=re.X), re.compile(A + '(?:b', re.I)"
    found = list(patterns(source, {"A": "(?:ab)*+", "re": re}))
    assert found == [(2, "(?:ab)*+word", re.X), (2, "(?:ab)*+(?:b", re.I)]
