"""The words that a noun of the reference is written in. They know nothing of OpenAPI; openapi.py and page.py read them.

An :class:`Example` is a request that the tests make as its curl line says; the answers that came are kept in answers/.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import orjson

Schema = Mapping[str, Any]  # JSON Schema 2020-12, as OpenAPI 3.1 takes it

HOST = "https://relay.example.com"  # of an example; the page puts its own in its place
KEY = "YOUR_API_KEY"

_JSON = "application/json"
_PLACEHOLDER = re.compile(r"\\{(\w+)\\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something beside the body that a request says."""

    name: str
    place: Literal["path", "query", "header"]
    says: str
    schema: Schema
    required: bool = False

    def document(self) -> dict[str, Any]:
        """OpenAPI's parameter object."""
        required = {"required": True} if self.required or self.place == "path" else {}
        return {"name": self.name, "in": self.place, **required, "description": self.says, "schema": self.schema}


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries."""

    schema: Schema
    says: str = ""
    required: bool = True
    media_types: Sequence[str] = (_JSON,)  # the first is the one to use


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with; ``schema`` None = no body."""

    says: str
    schema: Schema | None = None
    status: int = 200
    media_types: Sequence[str] = (_JSON,)
    headers: Mapping[str, str] | None = None  # name -> what it says


@dataclass(frozen=True, slots=True)
class Example:
    """One request, whole. Its answer is recorded; ``name`` is unique within the operation."""

    name: str
    path: str  # with the query, as it is sent
    says: str = ""
    body: Mapping[str, Any] | None = None
    file: str = ""  # name of a file that is the body; "" = there is none
    headers: tuple[tuple[str, str], ...] = ()
    key: bool = True  # whether the API key goes along

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return dict(parse_qsl(urlsplit(self.path).query))


@dataclass(frozen=True, slots=True)
class Snippet:
    """Code that does it in a program; for the page only."""

    says: str
    code: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    id: str  # unique in the document; anchors are made of it
    title: str  # a few words
    says: str
    answers: Sequence[Answer]
    parameters: Sequence[Parameter] = ()
    body: Body | None = None
    errors: Sequence[int] = ()  # beside those that go without saying, see :meth:`all_errors`
    key: bool = True  # whether it takes an API key
    examples: Sequence[Example] = ()
    snippets: Sequence[Snippet] = ()

    def all_errors(self) -> list[int]:
        """The statuses of its errors."""
        of_key = {401, 403, 503} if self.key else set()
        of_body = {400, 413} if self.key and self.body else set()
        of_path = {400} if self.key and any(one.place == "path" for one in self.parameters) else set()
        return sorted({*self.errors, *of_key, *of_body, *of_path})

    def path_values(self, example: Example) -> dict[str, str]:
        """What an example gives for the parameters in the path."""
        pattern = _PLACEHOLDER.sub(r"(?P<\1>.+)", re.escape(self.path))
        found = re.fullmatch(pattern, urlsplit(example.path).path)
        if found is None:
            raise ValueError(f"{self.id}: the path of example {example.name} is not its own")
        return found.groupdict()

    def curl(self, example: Example) -> str:
        """The request as a line for a shell, broken where it is long."""
        method = [] if self.method == "GET" else ["-X", self.method]
        key = [("Mailsac-Key", KEY)] if self.key and example.key else []
        parts = [" ".join(["curl", *method, shlex.quote(HOST + example.path)])]
        parts += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in (*key, *example.headers)]
        if example.body is not None:
            parts.append(f"-d {shlex.quote(orjson.dumps(example.body).decode())}")
        if example.file:
            parts.append(f"--data-binary @{example.file}")
        return " \\\n  ".join(parts)


@dataclass(frozen=True, slots=True)
class Noun:
    """Operations that belong together: a section of the page, a tag of the document."""

    name: str  # of the file of its answers, and of its anchor
    title: str
    says: str
    operations: Sequence[Operation]
