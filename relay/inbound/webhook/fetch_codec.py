"""How a :class:`Fetch` is kept in Redis: a line of JSON, then the post as it is."""

from __future__ import annotations

from datetime import datetime

import orjson

from relay.errors import BadRequest
from relay.inbound.webhook.provider import Fetch
from relay.inbound.webhook.values import json_object, text

_NO_FETCH = "what is kept of this post cannot be read: another version of relay wrote it"


def encode(fetch: Fetch) -> bytes:
    """The bytes that :func:`decode` reads."""
    head = {
        "urls": fetch.urls,
        "with_key": fetch.with_key,
        "received": fetch.received.isoformat(),
        "event": fetch.event,
        "retry_seconds": fetch.retry_seconds,
        "headers": fetch.headers,
        "accept": fetch.accept,
    }
    return orjson.dumps(head) + b"\n" + fetch.post


def decode(kept: bytes) -> Fetch:
    """What :func:`encode` was given. Raises BadRequest: the bytes are not of its making."""
    head, _, post = kept.partition(b"\n")
    known = json_object(head)
    urls, retry_seconds, event = _texts(known.get("urls")), known.get("retry_seconds"), text(known, "event")
    headers = known.get("headers")
    if not isinstance(headers, list) or not isinstance(retry_seconds, int) or not event:
        raise BadRequest(_NO_FETCH)
    return Fetch(
        urls=urls,
        with_key=known.get("with_key") is True,
        post=post,
        received=_moment(text(known, "received")),
        event=event,
        retry_seconds=retry_seconds,
        headers=tuple(map(_pair, headers)),
        accept=text(known, "accept"),
    )


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadRequest(_NO_FETCH)
    return tuple(value)


def _pair(value: object) -> tuple[str, str]:
    match _texts(value):
        case (name, written):
            return name, written
    raise BadRequest(_NO_FETCH)


def _moment(written: str) -> datetime:
    try:
        found = datetime.fromisoformat(written)
    except ValueError as exc:
        raise BadRequest(_NO_FETCH) from exc
    if found.tzinfo is None:
        raise BadRequest(_NO_FETCH)
    return found
