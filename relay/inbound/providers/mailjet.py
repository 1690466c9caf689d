"""``POST /inbound/mailjet``: Mailjet's Parse API, one JSON object per mail and envelope recipient.

Source: Mailjet's guide to the Parse API, and payloads captured in django-anymail's tests. Mailjet signs nothing: the
proof is the shared secret, as Basic password in the URL that it is given, or as ``?token=``. The mail itself is not
posted, nor how its parts were nested, so it is rebuilt. ``Date`` is the writer's claim, so the mail was received now.

Unconfirmed: what follows an answer other than 200 (the Event API of the same house tries every 30 s for 24 hours; so
what cannot be read is taken and parked), and the size (no limit is known). There is no id. The Message-ID is the
writer's to choose, and a second mail under the same one must not vanish: the event is the mail, Message-ID included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from relay import mime
from relay.errors import BadRequest
from relay.inbound.proof.shared_secret import SharedSecretProvider
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    Post,
    WrongWebhook,
    event_of_mail,
)
from relay.inbound.webhook.rebuild import Attachment, rebuilt_mail
from relay.inbound.webhook.received import hop
from relay.inbound.webhook.values import (
    base64_bytes,
    member,
    objects,
    posted_object,
    spam_of_score,
    text,
    texts,
    whole_text,
)
from relay.mime.headers import decode_words, parameters

_ANSWERS = Answers(unreadable=200)
_RETRY_SECONDS = 2 * 24 * 3600  # twice the Event API's
_ATTACHMENT = re.compile(r"(?:Inline)?Attachment[0-9]{1,4}")
_MAX_PARAMETERS = 4096  # characters of a header that are searched for a file name


@dataclass(frozen=True, slots=True)
class Mailjet(SharedSecretProvider):
    """The provider ``mailjet``."""

    name: str = "mailjet"
    answers: Answers = _ANSWERS
    body_factor: ClassVar[int] = 3  # attachments in base64, and text with JSON escapes, which may treble it

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail. Raises BadRequest or UnsupportedMediaType."""
        if post.body.lstrip()[:1] == b"[":  # grouped events
            raise _event_api()
        event = posted_object(post, "Mailjet")
        recipient = text(event, "Recipient")
        if not recipient:
            if "event" in event:
                raise _event_api()
            raise BadRequest("Recipient is missing: it names the envelope recipient", member="Recipient")
        raw = rebuilt_mail(
            {
                "headers": event.get("Headers") or {name: event.get(name) for name in ("From", "Subject")},
                "text": whole_text(event, "Text-part"),
                "html": whole_text(event, "Html-part"),
            },
            list(_attachments(event)),
        )
        parts = mime.parse(raw)
        last = hop(parts.headers, "mailjet.com")
        return [
            Delivery(
                recipients=(recipient,),
                raw=raw,
                parts=parts,
                received=post.received,
                ip=last.ip,
                via=last.via,
                rtls=last.rtls,
                spam=spam_of_score(event.get("SpamAssassinScore")),
                raw_synthesized=True,
                event=event_of_mail(parts, text(event, "Sender")),
                retry_seconds=_RETRY_SECONDS,
            )
        ]


def _event_api() -> WrongWebhook:
    return WrongWebhook(
        "this is an event of Mailjet's Event API: point a parse route here, not the event tracking"
    )


def _attachments(event: Mapping[str, Any]) -> Iterator[Attachment]:
    """In the order of ``Parts``; those that no part describes come last, for no file may be lost."""
    described = {text(part, "ContentRef"): member(part, "Headers") for part in objects(event.get("Parts"))}
    names = [*described, *(name for name in event if name not in described)]
    for name in names:
        if _ATTACHMENT.fullmatch(name) and (content := whole_text(event, name)):
            yield _attachment(name, content, described.get(name, {}))


def _attachment(name: str, content: str, headers: Mapping[str, Any]) -> Attachment:
    fields = {key.lower(): value for key, values in headers.items() for value in texts(values)[:1]}
    disposition, content_type = fields.get("content-disposition", ""), fields.get("content-type", "")
    decoded = base64_bytes(content)
    return Attachment(
        content=content.encode() if decoded is None else decoded,  # better a strange attachment than none
        filename=_parameter(disposition, b"filename") or _parameter(content_type, b"name"),
        content_type=content_type,
        content_id=fields.get("content-id", ""),
        inline=disposition[:6].lower() == "inline" if disposition else name.startswith("Inline"),
    )


def _parameter(value: str, name: bytes) -> str:
    found = parameters(value[:_MAX_PARAMETERS].encode("utf-8", "replace")).get(name, b"")
    return decode_words(found.decode("utf-8", "replace"))
