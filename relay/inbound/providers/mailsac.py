"""``POST /inbound/mailsac``: Mailsac's own webhook, one flat JSON object per mail.

Source: Mailsac's OpenAPI document of 2024-12. It signs nothing, so the proof is the shared secret, in the URL as
``?token=`` or as Basic password. The frame of its WebSocket, ``{"status": 200, "email": {…}}``, is taken too:
one relay may feed another.

Unconfirmed: what Mailsac does after an answer other than 200, and how large a mail may be. So what cannot be read is
taken and parked. ``raw`` is JSON text: bytes that are no UTF-8 were replaced before we see them; relay's own frames say
how theirs are to be read (``rawEncoding``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from relay import mime
from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.proof.shared_secret import SharedSecretProvider
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    Post,
    event_of_body,
)
from relay.inbound.webhook.rebuild import rebuilt_mail
from relay.inbound.webhook.values import json_object

_ANSWERS = Answers(unreadable=200)
_RETRY_SECONDS = 3 * 24 * 3600  # not documented; as long as any provider is known to go on
_NOT_JSON = ("message/rfc822", "multipart/form-data")  # what people post to the wrong provider's URL


@dataclass(frozen=True, slots=True)
class Mailsac(SharedSecretProvider):
    """The provider ``mailsac``."""

    name: str = "mailsac"
    answers: Answers = _ANSWERS
    # The body holds the mail as ``raw`` and again as text, HTML and headers, each with JSON escapes.
    body_factor: ClassVar[int] = 4

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail. Raises BadRequest or UnsupportedMediaType."""
        event = _event(post)
        inbox = _text(event, "inbox") or _text(event, "originalInbox")
        if not inbox:
            raise BadRequest("inbox is missing: it names the recipient", member="inbox")
        given = _raw(event)
        raw = given or rebuilt_mail(event)
        return [
            Delivery(
                recipients=(inbox,),
                raw=raw,
                parts=mime.parse(raw),
                received=_moment(_text(event, "received")) or post.received,
                rerouted_from=_text(event, "originalInbox"),
                ip=_text(event, "ip"),
                via=_text(event, "via"),
                rtls=event.get("rtls") is True,
                spam=_spam(event.get("spam")),
                raw_synthesized=not given or event.get("rawSynthesized") is True,
                event=f"id:{_text(event, '_id')}" if event.get("_id") else event_of_body(post.body),
                retry_seconds=_RETRY_SECONDS,
            )
        ]


def _event(post: Post) -> Mapping[str, Any]:
    media_type = post.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in _NOT_JSON:
        raise UnsupportedMediaType(f"the body must be Mailsac's JSON, not {media_type}; see /inbound/raw")
    event = json_object(post.body)
    inner = event.get("email")
    return inner if isinstance(inner, dict) else event


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"{name} must be text", member=name)
    return value.strip()


def _raw(event: Mapping[str, Any]) -> bytes:
    """The original bytes; b"" when the event carries none. Mailsac's text is UTF-8, ours says when it is not."""
    value = event.get("raw")
    if value is None or value == "":
        return b""
    if not isinstance(value, str):
        raise BadRequest("raw must be text", member="raw")
    try:
        return value.encode("latin-1" if event.get("rawEncoding") == "latin1" else "utf-8")
    except UnicodeEncodeError as exc:
        raise BadRequest("raw does not match its rawEncoding", member="raw") from exc


def _moment(text: str) -> datetime | None:
    """An ISO 8601 time; None when there is none that can be read: our own clock then serves."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _spam(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return min(max(float(value), 0.0), 1.0)
