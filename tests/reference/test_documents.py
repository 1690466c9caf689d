"""The documents speak of all that the service has, and of nothing else."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31
from starlette.routing import Route

from relay import builders
from relay import settings as relay_settings
from relay.errors import CLOSES
from relay.inbound import unserved
from relay.inbound.providers import PROVIDERS
from relay.reference import NOUNS
from relay.reference.documents import openapi_and_asyncapi
from relay.reference.schemas import SCHEMAS, record, ref
from relay.reference.socket import FRAMES
from relay.reference.vocabulary import Operation
from relay.service.app import Service
from tests.harness import ADDRESS, Relay
from tests.reference.providers import SETTINGS
from tests.reference.shapes import problems, shape_of
from tests.reference.story import SHORT_MAIL

OPERATIONS = {(one.method, one.path): one for noun in NOUNS for one in noun.operations}
DOORS = sorted(PROVIDERS)
OPENAPI = openapi_and_asyncapi()["/openapi.json"]
ASYNCAPI = openapi_and_asyncapi()["/asyncapi.json"]
_CONVERTER = re.compile(r":\w+}")


@pytest.fixture
def routes() -> set[tuple[str, str]]:
    """Method and path of all that the service answers; every provider has a secret."""
    service = Service(relay_settings.load({}, **SETTINGS))
    # Where no provider is taken there is nothing to document.
    found = [route for route in service.routes if isinstance(route, Route) and route.path != unserved.PATH]
    return {
        (method, _CONVERTER.sub("}", route.path))
        for route in found
        for method in route.methods or {"GET"}
        if method != "HEAD"
    }


def test_every_route_is_in_the_document_and_every_path_of_it_is_there(routes: set[tuple[str, str]]) -> None:
    assert routes - set(OPERATIONS) == set()
    assert set(OPERATIONS) - routes == set()


def test_it_is_openapi() -> None:
    errors = jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(OPENAPI)
    assert [(error.message, error.instance_path) for error in errors] == []


def test_ids_and_anchors_are_unique() -> None:
    ids = [one.id for noun in NOUNS for one in noun.operations]
    names = [*ids, *(noun.name for noun in NOUNS), *(f"frame-{frame.name}" for frame in FRAMES)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for found in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        place: Any = document
        for part in found.split("/"):
            place = place[part]


def test_every_shape_is_used() -> None:
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps([OPENAPI, ASYNCAPI])))
    assert used == set(SCHEMAS)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda one: one.id)
def test_the_parameters_in_a_path_are_those_of_its_operation(operation: Operation) -> None:
    named = re.findall(r"{(\w+)}", operation.path)
    assert named == [one.name for one in operation.parameters if one.place == "path"]


@pytest.mark.parametrize("name", DOORS)
def test_the_statuses_of_a_provider_are_its_own(name: str) -> None:
    answers = PROVIDERS[name](()).answers
    statuses = {200, answers.not_proven, answers.unreadable, answers.too_large, answers.unavailable}
    documented = {answer.status for answer in OPERATIONS["POST", f"/inbound/{name}"].answers}
    assert documented - {415} == statuses
    assert (415 in documented) == (answers.unreadable == 400)


@pytest.mark.anyio
@pytest.mark.settings(**SETTINGS)
@pytest.mark.parametrize("redis_url", ["memory://"])
async def test_what_a_provider_is_answered_has_its_shape(relay: Relay, redis_url: str) -> None:
    for name in DOORS:
        posts = [builders.Built(f"/inbound/{name}", [], b"{}")]
        if name in builders.names():
            posts.append(builders.build(name, SHORT_MAIL, [ADDRESS], builders.pair(name)[0], datetime.now(UTC)))
        for target, headers, body in posts:
            answer = await relay.http.post(target, headers=dict(headers), content=body)
            operation = OPERATIONS["POST", f"/inbound/{name}"]
            shape = shape_of(operation, answer.status_code, answer.headers["content-type"])
            assert shape is not None
            assert problems(shape, answer.json()) == []


# The WebSocket


def test_every_close_code_is_in_the_document_with_its_reason() -> None:
    listed = {end["code"]: end for end in ASYNCAPI["channels"]["incomingMessages"]["x-close-codes"]}
    mistakes = {1002, 1007, 1009}  # of the client; tests/stream/test_rfc6455.py provokes them
    assert set(listed) == set(CLOSES) | mistakes
    assert all(end["says"] for end in listed.values())
    for code, close in CLOSES.items():
        assert listed[code]["reason"] == close.reason
        assert (listed[code]["comes_back"] == "no") == (not close.retry)


def test_every_kind_of_frame_was_seen() -> None:
    kinds = {
        name: message["examples"][0]["payload"] for name, message in ASYNCAPI["components"]["messages"].items()
    }
    assert set(kinds) == {frame.name for frame in FRAMES}
    for frame in FRAMES:
        fits = [name for name, seen in kinds.items() if not problems(frame.schema, seen)]
        assert fits == [frame.name]


def test_a_message_is_the_one_of_the_seed_key_for_key() -> None:
    printed = json.loads((Path(__file__).parent.parent / "seed.json").read_text())
    added: dict[str, Any] = {"cc": [], "bcc": [], "attachments": None, "links": []}
    assert set(SCHEMAS["Message"]["required"]) == set(printed) | set(added)
    assert problems(ref("Message"), printed | added) == []
    assert problems(ref("Message"), printed) != []
    assert problems(ref("Message"), {**printed, **added, "colour": "blue"}) != []


def test_a_shape_that_is_not_closed_is_noticed() -> None:
    assert problems(record({"a": {"type": "string"}}), {"a": "b", "c": "d"}) != []


# As it is given out


@pytest.mark.anyio
@pytest.mark.parametrize("redis_url", ["memory://"])
@pytest.mark.settings(public_url="https://mail.shop.example/relay")
async def test_documents_and_page_are_given_out(relay: Relay, redis_url: str) -> None:
    openapi, asyncapi, page = [await relay.http.get(path) for path in ("/openapi.json", "/asyncapi.json", "/docs")]
    assert openapi.json() == json.loads(json.dumps(OPENAPI))
    assert asyncapi.json()["servers"]["relay"]["host"] == "mail.shop.example"
    assert asyncapi.json()["servers"]["relay"]["pathname"] == "/relay"
    for answer in (openapi, asyncapi, page):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        again = await relay.http.get(answer.url.path, headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304
