"""``POST /inbound/ses``: mail that Amazon SES receives, through an SNS topic (receipt rule with an SNS action).

Source: Amazon's pages "Notification contents for SES email receiving", its examples, and those of SNS (2026).
Confirmed there: ``receipt.recipients`` are the envelope's that matched the rule; ``content`` is the mail, only for the
SNS action and up to 150 KB; SNS wants 2xx within 15 s, tries 5xx three times 20 s apart (an hour at most), and takes
most 4xx as final, which would lose the mail: what cannot be read is answered 200 and parked.

A secret is the ARN of a topic, whose messages SNS signs (:mod:`relay.inbound.proof.sns`), or a shared secret of one's
own in the subscription's URL: for raw message delivery, which is not signed, and for networks from which Amazon cannot
be reached. SNS gives the credentials of a URL only after a challenge, so "not proven" must be 401.

Unconfirmed, and chosen so that no mail is lost:

- ``action.encoding`` is absent in older posts: content that does not begin like a mail is tried as base64.
- Hosts of other partitions than aws and aws-cn are not known, and so not asked for certificates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.datastructures import Headers

from relay import mime
from relay.errors import BadRequest
from relay.inbound.proof import sns
from relay.inbound.proof.signature import verify_shared_secret
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    NotProven,
    Post,
    WebhookProvider,
    WrongWebhook,
    event_of_body,
)
from relay.inbound.webhook.received import hop
from relay.inbound.webhook.values import (
    base64_bytes,
    json_object,
    member,
    moment,
    posted_object,
    text,
    texts,
    whole_text,
)
from relay.mime import headers

_RETRY_SECONDS = 7200  # more than sns.MAX_AGE_SECONDS: what is old enough to be forgotten is too old to be proven
_ANSWERS = Answers(unreadable=200)
_MAX_MESSAGE_BYTES = 1024 * 1024  # SNS takes 256 KiB; JSON may need four bytes for one of them
_SPAM = {"PASS": 0.0, "FAIL": 1.0}  # GRAY, PROCESSING_FAILED and DISABLED say nothing
_SET_UP = "Successfully validated SNS topic"  # what SES publishes when a topic is chosen, as plain text


def _no_certificates(_url: str) -> bytes | None:
    return None


def _not_confirmed(_url: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Ses(WebhookProvider):
    """The provider ``ses``. ``certificates`` and ``confirm`` reach Amazon, for whoever owns a DocumentCache."""

    name: str = "ses"
    answers: Answers = _ANSWERS
    body_factor: ClassVar[int] = 4  # base64 in JSON in JSON; or text whose quotes and line ends are escaped twice
    certificates: sns.Certificates = _no_certificates
    confirm: Callable[[str], None] = _not_confirmed  # has the URL fetched, soon; does not wait

    def proof_in_head(self, headers: Headers) -> bool:
        """A signature is in the body; the shared secret is beside it."""
        return not self._topics

    def verify(self, post: Post) -> None:
        """A shared secret, or SNS's signature. Raises NotProven, or sns.CertificateNotReady: for now, 503."""
        shared = [secret for secret in self.secrets if not sns.is_topic(secret)]
        topics = self._topics
        try:
            return verify_shared_secret(post, shared)
        except NotProven:
            if not topics:
                raise
        # An ARN has nothing that JSON would escape. Whoever does not know it has nothing parsed.
        if len(post.body) > _MAX_MESSAGE_BYTES or not any(topic.encode() in post.body for topic in topics):
            raise NotProven("TopicArn is none of the topics in RELAY_SES_SECRET")
        try:
            message = json_object(post.body)
        except BadRequest:
            raise NotProven("the body is no message of Amazon SNS, and no shared secret proves it") from None
        return sns.verify(message, topics, self.certificates, now=post.received)

    def unproven_limit(self, head: Post, max_message_bytes: int) -> int:
        """What SNS may post; as much as a mail may have where the shared secret stands in the head."""
        try:
            verify_shared_secret(head, [secret for secret in self.secrets if not sns.is_topic(secret)])
        except NotProven:
            return _MAX_MESSAGE_BYTES
        return self.body_limit(max_message_bytes)

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail for all its recipients, or none. Raises BadRequest or UnsupportedMediaType."""
        message = posted_object(post, "Amazon SNS")
        kind = text(message, "Type")
        if kind == "SubscriptionConfirmation":
            self._confirm(message)
            return []
        if kind == "UnsubscribeConfirmation":  # its URL would subscribe again
            return []
        if kind == "Notification":
            published = whole_text(message, "Message")
            return [] if published.startswith(_SET_UP) else self._delivery(post, json_object(published.encode()))
        return self._delivery(post, message)  # raw message delivery: what was published is the body

    @property
    def _topics(self) -> frozenset[str]:
        return frozenset(filter(sns.is_topic, self.secrets))

    def _confirm(self, message: Mapping[str, Any]) -> None:
        if text(message, "TopicArn") not in self._topics or not text(message, "Token"):
            raise BadRequest(
                "the subscription is not confirmed: put the TopicArn into RELAY_SES_SECRET and ask SNS for another"
                " confirmation",
                member="TopicArn",
            )
        self.confirm(sns.confirmation_url(message))

    def _delivery(self, post: Post, event: Mapping[str, Any]) -> list[Delivery]:
        kind = text(event, "notificationType")
        if kind == "AmazonSnsSubscriptionSucceeded":
            return []
        if not kind and not text(event, "eventType"):
            raise BadRequest(
                "notificationType is missing: this is no mail of Amazon SES", member="notificationType"
            )
        if kind != "Received":
            raise WrongWebhook(
                "this is not a mail but another event of Amazon (of SES sending, perhaps): subscribe this URL to the"
                " topic of a receipt rule's SNS action",
                member="notificationType",
            )
        receipt, mail = member(event, "receipt"), member(event, "mail")
        recipients = tuple(dict.fromkeys(texts(receipt.get("recipients"))))
        if not recipients:
            raise BadRequest("receipt.recipients is missing: it names the recipients", member="receipt")
        raw = _content(event, member(receipt, "action"))
        parts = mime.parse(raw)
        origin = hop(parts.headers, "amazonaws.com")
        message_id = text(mail, "messageId")
        return [
            Delivery(
                recipients=recipients,
                raw=raw,
                parts=parts,
                received=moment(receipt.get("timestamp")) or moment(mail.get("timestamp")) or post.received,
                ip=origin.ip,
                via=origin.via or self.name,
                rtls=origin.rtls,
                spam=_SPAM.get(text(member(receipt, "spamVerdict"), "status").upper()),
                event=f"id:{message_id}" if message_id else event_of_body(post.body),
                retry_seconds=_RETRY_SECONDS,
            )
        ]


def _content(event: Mapping[str, Any], action: Mapping[str, Any]) -> bytes:
    content = whole_text(event, "content")
    if not content:
        raise BadRequest(
            f"the mail is not in the notification (action {text(action, 'type')[:20] or 'unknown'}): mail that SES"
            " stores in S3 is not fetched; give the receipt rule an SNS action with Base64 encoding, which takes mail"
            " up to 150 KB",
            member="content",
        )
    given = content.encode()
    encoding = text(action, "encoding").upper()
    if encoding == "BASE64" or (not encoding and not headers.begins(given)):
        decoded = base64_bytes(content)
        if decoded is None:
            raise BadRequest("content is neither a mail nor base64", member="content")
        return decoded
    return given
