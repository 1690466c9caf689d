"""Values of a provider's JSON or form, read totally: what has not the expected type counts as absent.

Only what a mail cannot be delivered without is asked for with an error, by the provider itself.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.webhook.provider import Post

_NOT_JSON = ("message/rfc822", "multipart/form-data")  # what people post to the wrong provider's URL
# An escape of JSON; in the group, half of a UTF-16 pair without its other half. JavaScript, Java and .NET write it
# when they have cut a text inside an emoji, and no strict reader of JSON takes it.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_URL_FORM = bytes.maketrans(b"-_", b"+/")


def media_type(post: Post) -> str:
    """The Content-Type without its parameters, in lower case; "" when there is none."""
    return str(post.headers.get("content-type", "")).partition(";")[0].strip().lower()


def posted_object(post: Post, provider: str) -> dict[str, Any]:
    """The JSON object of a post. Raises BadRequest or UnsupportedMediaType; ``provider`` is its name for people."""
    if (kind := media_type(post)) in _NOT_JSON:
        raise UnsupportedMediaType(
            f"the body must be the JSON of {provider}, not {kind}; a mail itself: /inbound/raw"
        )
    return json_object(post.body)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a text; of a repeated key the last. Raises BadRequest."""
    try:
        value = _loads(body)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"the body is not JSON (line {exc.lineno}, column {exc.colno})") from exc
    if not isinstance(value, dict):
        raise BadRequest("the body must be one JSON object")
    return value


def json_array(body: bytes) -> list[Any]:
    """The JSON array in a text. Raises BadRequest."""
    try:
        value = _loads(body)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"the body is not JSON (line {exc.lineno}, column {exc.colno})") from exc
    if not isinstance(value, list):
        raise BadRequest("the body must be one JSON array of events")
    return value


def _loads(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        mended = _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)
        if mended == body:
            raise
        return orjson.loads(mended)


def text(holder: Mapping[str, Any], name: str) -> str:
    """The text of a member, trimmed; "" when it is absent or no text."""
    value = holder.get(name)
    return value.strip() if isinstance(value, str) else ""


def whole_text(holder: Mapping[str, Any], name: str) -> str:
    """The text of a member as it is, for bodies; "" when it is absent or no text."""
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list, in order; others are left out."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def texts(value: object) -> list[str]:
    """The texts in a list, or the one text, trimmed; empty ones are left out."""
    found = value if isinstance(value, list) else [value]
    return [one.strip() for one in found if isinstance(one, str) and one.strip()]


def member(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object of a member; empty when it is absent or no object."""
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def truth(value: object) -> bool:
    """Whether the value says yes: true, 1, or a text of them, as forms have it."""
    return value is True or (isinstance(value, int | str) and str(value).strip().lower() in ("true", "1"))


def number(value: object) -> float | None:
    """A finite number, given as such or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def moment(value: object) -> datetime | None:
    """ISO 8601 text, or Unix seconds as number or text; None when it is neither: our own clock then serves."""
    seconds = number(value)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC)
        found = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        return found and (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def spam_of_score(value: object) -> float | None:
    """SpamAssassin's score as a number from 0.0 to 1.0: a tenth of it; None when there is none."""
    score = number(value)
    return None if score is None else min(max(round(score / 10, 6), 0.0), 1.0)


def base64_bytes(given: str) -> bytes | None:
    """The bytes of base64 text, with line ends, without padding or in URL form; None when it is none."""
    encoded = given.encode("ascii", "replace").translate(_URL_FORM, b" \t\r\n").rstrip(b"=")
    try:
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return None
