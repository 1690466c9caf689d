"""The shapes of the reference, held to what is said: a member that is not in them is a mistake too."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from relay.reference.schemas import SCHEMAS, ref
from relay.reference.vocabulary import Operation, Schema


def closed(schema: Any) -> Any:
    """The same, but no object may have members that it does not name. The reference leaves room for more."""
    if isinstance(schema, list | tuple):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    shape = {name: closed(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        shape["additionalProperties"] = False
    return shape


def problems(schema: Schema, value: Any) -> list[str]:
    """What is wrong with a value, formats too."""
    whole = {**closed(dict(schema)), "components": {"schemas": closed(dict(SCHEMAS))}}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{list(error.instance_path)}: {error.message}" for error in validator.iter_errors(value)]


def shape_of(operation: Operation, status: int, media_type: str) -> Schema | None:
    """The shape of an answer; None: there is no body. Raises AssertionError: the reference has no such answer."""
    for answer in operation.answers:
        if answer.status == status:
            known = answer.media_types if answer.schema is not None else ("",)
            assert media_type in known or known == ("*/*",)
            return answer.schema
    assert status in operation.all_errors(), f"{operation.id}: {status} is not in the reference"
    assert media_type == "application/json"
    return ref("Error")
