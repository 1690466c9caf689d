"""Requests made from the OpenAPI document, good and bad: the running service answers as the document says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode, SerializationContext
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from relay.reference import operator
from relay.reference.documents import openapi_and_asyncapi
from tests import harness
from tests.harness import ADDRESS, DOMAIN, KEY, SECRET, Relay
from tests.reference.providers import SETTINGS

CHECKS = [
    status_code_conformance,  # a 500 is in no document
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPERATORS = {one.path for one in operator.NOUN.operations}
BOUNDED = settings(
    max_examples=4,
    derandomize=True,  # the same requests in each run
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer("message/rfc822")
def as_it_is(_context: SerializationContext, value: object) -> bytes:
    """A mail is its bytes."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


SCHEMA = schemathesis.openapi.from_dict(openapi_and_asyncapi()["/openapi.json"])
_FOUND = [one.ok() for one in SCHEMA.get_all_operations() if isinstance(one, Ok)]
OPERATIONS = {f"{one.method.upper()} {one.path}": one for one in _FOUND}


@dataclass(frozen=True, slots=True)
class Served:
    """A relay, and what is there to be asked for: by parameter of a path."""

    relay: Relay
    things: dict[str, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """In a thread of its own: schemathesis does not wait asynchronously. Every provider has a secret."""
    overrides: dict[str, Any] = {**SETTINGS, "raw_secret": SECRET, "dns_servers": ("127.0.0.1:1",)}
    folder: Path = tmp_path_factory.mktemp("relay")
    running = harness.relay("memory://", folder, **overrides)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(running) as relay:
        message_id = portal.call(relay.send, "a mail")
        yield Served(relay, {"email": ADDRESS, "domain": DOMAIN, "id": message_id})


GOOD = [(name, GenerationMode.POSITIVE) for name in OPERATIONS]
# Providers post what their providers make; who guesses there is refused before anything is read.
BAD = [(name, GenerationMode.NEGATIVE) for name in OPERATIONS if " /api/" in name]


@pytest.mark.parametrize(("name", "mode"), [*GOOD, *BAD], ids=lambda one: getattr(one, "value", one))
def test_every_operation_answers_as_the_document_says(served: Served, name: str, mode: GenerationMode) -> None:
    operation, relay = OPERATIONS[name], served.relay
    url = str((relay.internal if operation.path in OPERATORS else relay.http).base_url)
    # What is good is asked of things that are there. What deletes them is not, or the next would find nothing.
    asked = mode is GenerationMode.POSITIVE and operation.method != "delete"
    there = {part: thing for part, thing in served.things.items() if asked and f"{{{part}}}" in operation.path}

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=there or None))
    def run(case: Case[Any]) -> None:
        if case.query and "wait" in case.query:
            case.query["wait"] = 0  # for longer it would answer the same, later
        answer = case.call(base_url=url, headers={"Mailsac-Key": KEY})
        case.validate_response(answer, checks=CHECKS)

    run()
