"""``POST /inbound/mailersend``: an inbound route of MailerSend, one JSON object per mail with the mail itself in it.

Source: MailerSend's pages on inbound routing and webhooks, and a payload captured in django-anymail's tests. Header
``Signature``: hex HMAC-SHA256 of the body with the secret of the route (not that of the activity webhook). It covers no
time, so a replay is told by ``data.id`` alone. When a route is saved MailerSend posts ``webhook.test``, signed with a
secret that its documentation prints; without an answer of 2xx the route is not saved.

Unconfirmed: what follows another answer. One reading is no second try at all, the other tries for about three days, but
none after a 4xx. So nothing is answered 4xx that a later try could mend: a wrong secret is 503 (somebody is setting
one up, or has changed it), and what cannot be read is taken and parked. Unconfirmed, too: whether ``raw`` keeps
bytes that are no UTF-8; it is JSON text, and taken as UTF-8.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from relay import mime
from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.proof.signature import HEX_SHA256, same
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    NotProven,
    Post,
    WebhookProvider,
    WrongWebhook,
    event_of_body,
)
from relay.inbound.webhook.rebuild import Attachment, rebuilt_mail
from relay.inbound.webhook.received import hop
from relay.inbound.webhook.values import (
    base64_bytes,
    member,
    moment,
    objects,
    posted_object,
    text,
    whole_text,
)

_ANSWERS = Answers(not_proven=503, unreadable=200)
_RETRY_SECONDS = 4 * 24 * 3600  # about three days, says the longer of the two readings
# Printed under "Webhooks overview" in MailerSend's API documentation: it proves nothing but that a test is one.
_PUBLIC_TEST_SECRET = "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"  # noqa: S105
_TEST = "webhook.test"
_MAX_TEST_BYTES = 4096  # a real one has 120


@dataclass(frozen=True, slots=True)
class MailerSend(WebhookProvider):
    """The provider ``mailersend``."""

    name: str = "mailersend"
    answers: Answers = _ANSWERS
    # The body holds the mail as ``raw``, again as text, HTML and headers, and its attachments in base64.
    body_factor: ClassVar[int] = 4

    def verify(self, post: Post) -> None:
        """Raises NotProven."""
        given = post.headers.get("signature", "").strip().lower()
        matches = [same(given, _signature(secret, post.body)) for secret in self.secrets]
        if not any(matches) and not _is_test(post, given):
            raise NotProven(
                "the Signature header does not match any secret of this provider;"
                " the secret is that of the inbound route"
            )

    def unproven_limit(self, head: Post, max_message_bytes: int) -> int:
        """Raises NotProven: the head has no signature."""
        if not HEX_SHA256.fullmatch(head.headers.get("signature", "").strip()):
            raise NotProven("the Signature header is missing, or no HMAC-SHA256 in hex")
        return self.body_limit(max_message_bytes)

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail, or none in a test. Raises BadRequest or UnsupportedMediaType."""
        event = posted_object(post, "MailerSend")
        kind = text(event, "type")
        if kind == _TEST:
            return []
        if kind and kind != "inbound.message":
            raise WrongWebhook(
                f"this is {kind[:64]}, an event of MailerSend's activity webhook: point an inbound route here instead",
                member="type",
            )
        data = member(event, "data")
        envelope = objects(member(data, "recipients").get("rcptTo"))
        recipients = tuple(address for one in envelope if (address := text(one, "email")))
        if not recipients:
            raise BadRequest("data.recipients.rcptTo names no recipient", member="data.recipients.rcptTo")
        return [_delivery(post, event, data, recipients)]


def _signature(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode("utf-8", "surrogatepass"), body, hashlib.sha256).hexdigest()


def _is_test(post: Post, given: str) -> bool:
    """Whether this is the post with which MailerSend tries a URL; anybody can sign one, and it carries no mail."""
    if len(post.body) > _MAX_TEST_BYTES or not same(given, _signature(_PUBLIC_TEST_SECRET, post.body)):
        return False
    try:
        return text(posted_object(post, "MailerSend"), "type") == _TEST
    except (BadRequest, UnsupportedMediaType):
        return False


def _delivery(post: Post, event: Mapping[str, Any], data: Mapping[str, Any], to: tuple[str, ...]) -> Delivery:
    original = whole_text(data, "raw").encode()
    raw = original or rebuilt_mail(data, [_attachment(one) for one in objects(data.get("attachments"))])
    parts = mime.parse(raw)
    last = hop(parts.headers, "mailersend.net")
    name = text(data, "id")
    return Delivery(
        recipients=to,
        raw=raw,
        parts=parts,
        received=moment(data.get("created_at")) or moment(event.get("created_at")) or post.received,
        ip=last.ip,
        via=last.via,
        rtls=last.rtls,
        raw_synthesized=not original,
        event=f"id:{name}" if name else event_of_body(post.body),
        retry_seconds=_RETRY_SECONDS,
    )


def _attachment(one: Mapping[str, Any]) -> Attachment:
    content = whole_text(one, "content")
    decoded = base64_bytes(content)
    return Attachment(
        content=content.encode() if decoded is None else decoded,  # better a strange attachment than none
        filename=text(one, "file_name"),
        content_type=text(one, "content_type"),
        content_id=text(one, "content_id"),
        inline=text(one, "content_disposition").lower() == "inline",
    )
