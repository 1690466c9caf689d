"""``POST /inbound/postmark``: Postmark's inbound webhook, one JSON object per mail.

Source: Postmark's pages "Inbound webhook" and "Parse an email" (2026). Confirmed there: the members, that only
``OriginalRecipient`` is the envelope's, that anything but 200 is retried ten times over 10.5 hours and 403 is not;
that nothing is signed, so the proof is the shared secret (Basic password in the URL, or ``?token=``). From captured
posts: From, To, Subject, Date and the like are members, and not in ``Headers``.

Unconfirmed, and chosen so that no mail is lost:

- Accounts older than ``OriginalRecipient``: a sole To names the recipient.
- Whether an author's own X-Spam-Score survives beside Postmark's: the top-most counts.
- ``RawEmail`` is JSON text, so bytes of a mail that are not UTF-8 were replaced before we see them.
"""

from __future__ import annotations

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
    event_of_body,
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
    whole_text,
)

# 1, 5, 10, 10, 10, 15 and 30 minutes, 1, 2 and 6 hours. The rest is margin.
_RETRY_SECONDS = 13 * 3600
# 403 alone ends the retries; the mail stays in Postmark's Activity, from where it can be sent again by hand. A wrong
# secret is mended within hours, so that one is left to the retries.
_ANSWERS = Answers(unreadable=403, too_large=403)
_SERVERS = "postmarkapp.com"
_SAMPLE = "73e6d360-66eb-11e1-8e72-a8904824019b"  # MessageID of the mail that the button "Check" posts


@dataclass(frozen=True, slots=True)
class Postmark(SharedSecretProvider):
    """The provider ``postmark``."""

    name: str = "postmark"
    answers: Answers = _ANSWERS
    # The mail as RawEmail, and again as texts and base64 attachments, each with JSON escapes.
    body_factor: ClassVar[int] = 4

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail; none when it is the sample of "Check". Raises BadRequest or UnsupportedMediaType."""
        event = posted_object(post, "Postmark's inbound webhook")
        _refuse_other_webhooks(event)
        message_id, recipient = text(event, "MessageID"), _recipient(event)
        if message_id == _SAMPLE and "samplehash@inbound.postmarkapp.com" in recipient.lower():
            return []
        headers = list(_headers(event))
        given = whole_text(event, "RawEmail").encode()
        raw = given or _rebuilt(event, headers, recipient)
        origin = hop(headers, _SERVERS)
        return [
            Delivery(
                recipients=(recipient,),
                raw=raw,
                parts=mime.parse(raw),
                received=post.received,
                ip=origin.ip,
                via=origin.via or self.name,
                rtls=origin.rtls,
                spam=_spam(headers),
                raw_synthesized=not given,
                event=f"id:{message_id}" if message_id else event_of_body(post.body),
                retry_seconds=_RETRY_SECONDS,
            )
        ]


def _refuse_other_webhooks(event: Mapping[str, Any]) -> None:
    kind = event.get("RecordType")
    if kind is not None and kind != "Inbound":
        raise WrongWebhook(
            "this is a delivery event of Postmark (it has a RecordType): point the webhook of the inbound stream"
            " here, not one of a sending stream",
            member="RecordType",
        )


def _recipient(event: Mapping[str, Any]) -> str:
    if recipient := text(event, "OriginalRecipient"):
        return recipient
    to = [address for one in objects(event.get("ToFull")) if (address := text(one, "Email"))]
    if len(to) == 1 and not objects(event.get("CcFull")):
        return to[0]
    raise BadRequest("OriginalRecipient is missing: it names the recipient", member="OriginalRecipient")


def _headers(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for one in objects(event.get("Headers")):
        if name := text(one, "Name"):
            yield name.lower(), text(one, "Value")


def _spam(headers: Sequence[tuple[str, str]]) -> float | None:
    """SpamAssassin's score; its verdict, where there is none."""
    found = dict(reversed(headers))
    score = spam_of_score(found.get("x-spam-score"))
    if score is not None:
        return score
    return {"yes": 1.0, "no": 0.0}.get(found.get("x-spam-status", "").partition(",")[0].strip().lower())


def _rebuilt(event: Mapping[str, Any], headers: list[tuple[str, str]], recipient: str) -> bytes:
    known = {name for name, _ in headers}
    taken_out = ((name, text(event, name.title().replace("-", ""))) for name in ("date", "reply-to"))
    shape = {
        "headers": [*headers, *((name, value) for name, value in taken_out if value and name not in known)],
        "from": [_mailbox(member(event, "FromFull"))],
        "to": [*map(_mailbox, objects(event.get("ToFull")))],
        "cc": [*map(_mailbox, objects(event.get("CcFull")))],
        # Postmark names the envelope recipient here, when no header does; the mail has no such field.
        "bcc": [_mailbox(one) for one in objects(event.get("BccFull")) if text(one, "Email") != recipient],
        "subject": text(event, "Subject"),
        "text": whole_text(event, "TextBody"),
        "html": whole_text(event, "HtmlBody"),
    }
    return rebuilt_mail(shape, [_attachment(one, shape["html"]) for one in objects(event.get("Attachments"))])


def _mailbox(full: Mapping[str, Any]) -> dict[str, str]:
    return {"address": text(full, "Email"), "name": text(full, "Name")}


def _attachment(one: Mapping[str, Any], html: object) -> Attachment:
    # "Check" posts Data instead of Content. Gmail gives every file a Content-ID: only one that is shown is inline.
    content_id = text(one, "ContentID").removeprefix("<").removesuffix(">")
    return Attachment(
        content=base64_bytes(text(one, "Content") or text(one, "Data")) or b"",
        filename=text(one, "Name"),
        content_type=text(one, "ContentType"),
        content_id=content_id,
        inline=bool(content_id) and isinstance(html, str) and f"cid:{content_id}" in html,
    )
