"""``POST /inbound/ahasend``: an inbound route of AhaSend, one signed JSON object per mail and recipient.

Source: AhaSend's documentation of routes (``message.routing``, security, retry policy) and its Go library. Standard
Webhooks, with the literal text of the route's secret (``aha-rsec-…``) as key. ``data.to`` is the address that matched
the route: a mail for several is posted once for each, unless the route deduplicates by Message-ID; then only one of
them is named, and the others get nothing. Headers and attachments are posted only if the route says so.

Any 2xx is success; else 12 tries in 11 hours (an older text says 6 in 16 minutes), and after 100 failures in a row the
route is disabled: what cannot be read, such as an event of another kind, is therefore taken and parked. An answer must
come within 5 seconds. The spam score goes from 0 to 10. The mail itself is not posted, so it is rebuilt.

Unconfirmed: the largest mail ("several MB"; AhaSend's examples take 30 MB), and whether the values of repeated headers
are lost (the type says: one text a name).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from relay import mime
from relay.errors import BadRequest
from relay.inbound.proof.signature import verify_standard, verify_standard_head
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
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
    spam_of_score,
    text,
    whole_text,
)
from relay.mime.addresses import mailboxes

_ANSWERS = Answers(unreadable=200)
_RETRY_SECONDS = 24 * 3600  # twice the 11 hours
_KINDS = ("message.routing", "route.message")  # the second is what AhaSend's Go library calls it
_MAX_TO = 4096  # characters of data.to that are read
# Fields of the header that have members of their own, should the route post no headers.
_FIELDS = {
    "From": "from",
    "To": "to",
    "Cc": "cc",
    "Reply-To": "reply_to",
    "Subject": "subject",
    "Date": "date",
    "Message-ID": "message_id",
    "In-Reply-To": "in_reply_to",
    "References": "references",
    "Auto-Submitted": "auto_submitted",
}


@dataclass(frozen=True, slots=True)
class AhaSend(WebhookProvider):
    """The provider ``ahasend``."""

    name: str = "ahasend"
    answers: Answers = _ANSWERS
    body_factor: ClassVar[int] = 3  # attachments in base64, and text with JSON escapes, which may treble it

    def verify(self, post: Post) -> None:
        """Raises NotProven."""
        verify_standard(post, self.secrets, now=post.received)

    def unproven_limit(self, head: Post, max_message_bytes: int) -> int:
        """Raises NotProven: the head lacks a part of the signature."""
        verify_standard_head(head, now=head.received)
        return self.body_limit(max_message_bytes)

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail. Raises BadRequest or UnsupportedMediaType."""
        event = posted_object(post, "AhaSend")
        kind = text(event, "type")
        if not kind:
            raise BadRequest("type is missing: this is no post of AhaSend", member="type")
        if kind not in _KINDS:
            raise WrongWebhook(
                f"this is {kind[:64]}, not message.routing: point an inbound route here, not a webhook",
                member="type",
            )
        data = member(event, "data")
        recipients = _recipients(text(data, "to"))
        if not recipients:
            raise BadRequest("data.to names no recipient", member="data.to")
        raw = rebuilt_mail(
            {"headers": _headers(data), "text": data.get("plain_body"), "html": data.get("html_body")},
            [_attachment(one) for one in objects(data.get("attachments"))],
        )
        parts = mime.parse(raw)
        last = hop(parts.headers, "ahasend.com")
        return [
            Delivery(
                recipients=recipients,
                raw=raw,
                parts=parts,
                received=moment(event.get("timestamp")) or post.received,
                ip=last.ip,
                via=last.via,
                rtls=last.rtls,
                spam=spam_of_score(data.get("spam_score")),
                raw_synthesized=True,
                event=_event_name(post, data),
                retry_seconds=_RETRY_SECONDS,
            )
        ]


def _recipients(to: str) -> tuple[str, ...]:
    """The address as it is; out of "Name <address>" should it ever come so."""
    if "<" not in to and "," not in to:
        return (to,) if to else ()
    return tuple(mailbox.address for mailbox in mailboxes(to[:_MAX_TO]))


def _headers(data: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(member(data, "headers"))
    names = {name.lower() for name in given}
    return given | {
        name: value for name, key in _FIELDS.items() if name.lower() not in names and (value := text(data, key))
    }


def _attachment(one: Mapping[str, Any]) -> Attachment:
    content = whole_text(one, "data")
    decoded = base64_bytes(content)
    return Attachment(
        content=content.encode() if decoded is None else decoded,  # better a strange attachment than none
        filename=text(one, "filename"),
        content_type=text(one, "content_type"),
        content_id=text(one, "content_id"),
        inline=text(one, "disposition").lower() == "inline",
    )


def _event_name(post: Post, data: Mapping[str, Any]) -> str:
    """``webhook-id`` is the same for each try; it names the mail for this recipient."""
    given = post.headers.get("webhook-id", "") or text(data, "id")
    return f"id:{given}" if given else event_of_body(post.body)
