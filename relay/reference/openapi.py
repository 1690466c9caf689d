"""The nouns as one OpenAPI 3.1 document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relay import __version__
from relay.reference.recorded import Recorded, recorded_answers
from relay.reference.schemas import SCHEMAS, ref
from relay.reference.vocabulary import Answer, Body, Noun, Operation, Parameter

_SAYS = (
    "Mail comes in by webhooks of mail providers, or from a script; it goes out over a WebSocket (`/asyncapi.json`) "
    "and by REST. Paths, members and statuses are Mailsac's, so that its clients work here with another base URL."
)
_KEY: list[dict[str, list[str]]] = [{"key": []}, {"bearer": []}, {"keyInQuery": []}]
_SHARED_SECRET: list[dict[str, list[str]]] = [{"providerBasic": []}, {"providerToken": []}]
_SCHEMES = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "Mailsac-Key",
        "description": "The API key. Who can set no header says it as the member `_mailsacKey` of a JSON body.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
    "keyInQuery": {
        "type": "apiKey",
        "in": "query",
        "name": "_mailsacKey",
        "description": "The same key; URLs end up in logs, so a header is better.",
    },
    "providerBasic": {
        "type": "http",
        "scheme": "basic",
        "description": "A provider's shared secret, as the password.",
    },
    "providerToken": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "A provider's shared secret.",
    },
}
_RETRY_AFTER = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}
ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("BadRequest", "Mend the request: the same would fail again. `validationErrors` names what is wrong."),
    401: ("Unauthorized", "No key, a wrong or revoked one, or the thing belongs to another account."),
    403: ("Forbidden", "The key is valid and may not do this: it is read-only, or for the mail of one address."),
    404: ("NotFound", "There is no such thing."),
    413: ("TooLarge", "More bytes than this path takes; the rest is not read."),
    429: (
        "TooManyRequests",
        "Slow down, and come again after `Retry-After` seconds. "
        "Also a wrong key, after too many others of its address.",
    ),
    503: ("Unavailable", "Ours, for now: try again after `Retry-After` seconds."),
}


def document(nouns: Sequence[Noun]) -> dict[str, Any]:
    """The whole document. Examples have the answers that were recorded."""
    paths: dict[str, dict[str, Any]] = {}
    for noun in nouns:
        answers = recorded_answers(noun)
        for operation in noun.operations:
            paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(noun, operation, answers)
    return {
        "openapi": "3.1.1",
        "info": {"title": "relay", "version": __version__, "description": _SAYS},
        "servers": [{"url": "/"}],
        "tags": [{"name": noun.title, "description": noun.says} for noun in nouns],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": _SCHEMES,
            "responses": {name: _error(status, says) for status, (name, says) in ERRORS.items()},
        },
    }


_Answers = Mapping[tuple[str, str], Recorded]


def _operation(noun: Noun, operation: Operation, answers: _Answers) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [noun.title],
        "summary": operation.title,
        "description": operation.says,
        "security": _security(operation),
        "parameters": [_parameter(operation, one) for one in operation.parameters],
        "responses": _responses(operation, answers),
    }
    if operation.body:
        shape["requestBody"] = _body(operation, operation.body)
    return shape


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.key:
        return _KEY
    return _SHARED_SECRET if any(one.name == "token" for one in operation.parameters) else []


def _parameter(operation: Operation, parameter: Parameter) -> dict[str, Any]:
    """With the value that each example gives it; examples of one name, here, in body and answer, belong together."""
    examples = {}
    for example in operation.examples:
        given = {**example.query, **operation.path_values(example), **dict(example.headers)}
        if parameter.name in given:
            examples[example.name] = {"value": given[parameter.name]}
    return {**parameter.document(), **({"examples": examples} if examples else {})}


def _body(operation: Operation, body: Body) -> dict[str, Any]:
    examples = {
        one.name: {**_summary(one.says), "value": one.body} for one in operation.examples if one.body is not None
    }
    content = {"schema": body.schema, **({"examples": examples} if examples else {})}
    return {
        **({"description": body.says} if body.says else {}),
        "required": body.required,
        "content": dict.fromkeys(body.media_types, content),
    }


def _responses(operation: Operation, answers: _Answers) -> dict[str, Any]:
    shown = {
        (kept.status, one.name): {**_summary(one.says), "value": kept.body}
        for one in operation.examples
        if (kept := answers.get((operation.id, one.name))) and kept.body is not None
    }
    examples_of: dict[int, dict[str, Any]] = {}
    for (status, name), example in shown.items():
        examples_of.setdefault(status, {})[name] = example
    responses = {str(one.status): _answer(one, examples_of.get(one.status)) for one in operation.answers}
    for status in operation.all_errors():
        name, says = ERRORS[status]
        known = examples_of.get(status)
        responses[str(status)] = (
            _error(status, says, known) if known else {"$ref": f"#/components/responses/{name}"}
        )
    return dict(sorted(responses.items()))


def _answer(answer: Answer, examples: Mapping[str, Any] | None) -> dict[str, Any]:
    shape: dict[str, Any] = {"description": answer.says}
    if answer.headers:
        shape["headers"] = {
            name: {"description": says, "schema": {"type": "string"}} for name, says in answer.headers.items()
        }
    if answer.schema is not None:
        content = {"schema": answer.schema, **({"examples": examples} if examples else {})}
        shape["content"] = dict.fromkeys(answer.media_types, content)
    return shape


def _error(status: int, says: str, examples: Mapping[str, Any] | None = None) -> dict[str, Any]:
    headers = {"headers": _RETRY_AFTER} if status in (429, 503) else {}
    content = {"schema": ref("Error"), **({"examples": examples} if examples else {})}
    return {"description": says, **headers, "content": {"application/json": content}}


def _summary(says: str) -> dict[str, str]:
    return {"summary": says} if says else {}
