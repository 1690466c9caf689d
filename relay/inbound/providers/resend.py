"""``POST /inbound/resend``: ``email.received`` of Resend, an announcement; the mail itself is fetched.

Source: Resend's documentation of the event and of "Retrieve Received Email". Signed by Svix (Standard Webhooks under
other names), with the secret of the endpoint, ``whsec_…``. Eight tries over 28 hours, later a replay by hand, always
with the same ``svix-id``. First https://api.resend.com/emails/receiving/{id} is asked with the API key; its answer
names, as ``raw.download_url``, where the mail lies for an hour. Without one the mail is rebuilt, without its files.

Unconfirmed: the host of that URL ("signed CloudFront URL", resend.com in examples: only those two, https, and never
with the key), and who the envelope's recipients are. ``received_for`` counts if it is there; else all that the mail
names, of which relay keeps those that somebody reserved: a Bcc that is named nowhere is lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from relay import mime
from relay.errors import BadRequest
from relay.inbound.proof.signature import verify_standard, verify_standard_head
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    Fetch,
    Post,
    WebhookProvider,
    WrongWebhook,
    event_of_body,
)
from relay.inbound.webhook.rebuild import rebuilt_mail
from relay.inbound.webhook.values import (
    json_object,
    member,
    moment,
    posted_object,
    text,
    texts,
    whole_text,
)
from relay.mime.addresses import mailboxes
from relay.network import is_plain_https
from relay.queues.parked import kept

_API_HOST = "api.resend.com"
_API = f"https://{_API_HOST}/emails/receiving/"
_DOWNLOAD_HOSTS = (".resend.com", ".cloudfront.net")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ANSWERS = Answers(unreadable=200)
_RETRY_SECONDS = 3 * 24 * 3600  # 28 hours, and a replay by hand
_POST_BYTES = 1024 * 1024  # it holds no mail
_FIELDS = {
    "From": "from",
    "To": "to",
    "Cc": "cc",
    "Reply-To": "reply_to",
    "Subject": "subject",
    "Message-ID": "message_id",
}


@dataclass(frozen=True, slots=True)
class Resend(WebhookProvider):
    """The provider ``resend``."""

    name: str = "resend"
    answers: Answers = _ANSWERS

    def body_limit(self, max_message_bytes: int) -> int:
        """The post holds no mail."""
        return max(_POST_BYTES, max_message_bytes)

    def verify(self, post: Post) -> None:
        """Raises NotProven."""
        verify_standard(post, self.secrets, now=post.received)

    def unproven_limit(self, head: Post, max_message_bytes: int) -> int:
        """Raises NotProven: the head lacks a part of the signature."""
        verify_standard_head(head, now=head.received)
        return self.body_limit(max_message_bytes)

    def parse(self, post: Post) -> Sequence[Fetch]:
        """What to ask for one mail. Raises BadRequest or UnsupportedMediaType."""
        event = posted_object(post, "Resend")
        kind = text(event, "type")
        if not kind:
            raise BadRequest("type is missing: this is no event of Resend", member="type")
        if kind != "email.received":
            raise WrongWebhook(f"this is {kind[:64]}: subscribe this URL to email.received only", member="type")
        email_id = text(member(event, "data"), "email_id")
        if not _ID.fullmatch(email_id):
            raise BadRequest("data.email_id is missing, or no id", member="data.email_id")
        name = post.headers.get("svix-id", "") or post.headers.get("webhook-id", "")
        return [
            Fetch(
                urls=(_API + email_id,),
                with_key=True,
                post=post.body,
                received=post.received,
                event=f"id:{name}" if name else event_of_body(post.body),
                retry_seconds=_RETRY_SECONDS,
                headers=kept(post.headers.items()),
            )
        ]

    def may_fetch(self, url: str) -> bool:
        """A mail at Resend's API, or anything at the hosts of its downloads, of which the API is none."""
        if not is_plain_https(url):
            return False
        host = urlsplit(url).hostname or ""
        if host == _API_HOST:
            return url.startswith(_API) and _ID.fullmatch(url.removeprefix(_API)) is not None
        return host.endswith(_DOWNLOAD_HOSTS)

    def key_header(self, api_key: str) -> tuple[str, str]:
        """As Resend's API wants it."""
        return "authorization", f"Bearer {api_key}"

    def answers_limit(self, max_message_bytes: int) -> int:
        """The first answer holds the images of the mail in its HTML, in base64."""
        return max_message_bytes * 2

    def fetched(self, fetch: Fetch, bodies: Sequence[bytes]) -> Delivery | Fetch:
        """The mail, or what to ask next. ``bodies``: of the answers to ``fetch.urls``, in their order.

        Raises BadRequest: they cannot be read.
        """
        [body] = bodies
        told = member(json_object(fetch.post), "data")
        if not fetch.with_key:  # the second step: the mail itself
            return _delivery(fetch, told, body, rebuilt=False)
        email = json_object(body)
        told = {**told, **email}
        url = text(member(email, "raw"), "download_url")
        if not self.may_fetch(url):
            return _delivery(fetch, told, _rebuilt(email), rebuilt=True)
        known = {"received_for": _recipients(told), "created_at": text(told, "created_at")}
        return replace(fetch, urls=(url,), with_key=False, post=orjson.dumps({"data": known}))


def _delivery(fetch: Fetch, told: Mapping[str, Any], raw: bytes, *, rebuilt: bool) -> Delivery:
    return Delivery(
        recipients=_recipients(told),
        raw=raw,
        parts=mime.parse(raw),
        received=moment(told.get("created_at")) or fetch.received,
        raw_synthesized=rebuilt,
        event=fetch.event,
        retry_seconds=fetch.retry_seconds,
    )


def _recipients(told: Mapping[str, Any]) -> tuple[str, ...]:
    given = texts(told.get("received_for")) or [one for key in ("to", "cc", "bcc") for one in texts(told.get(key))]
    found = dict.fromkeys(mailbox.address for one in given for mailbox in mailboxes(one[:1024]))
    if not found:
        raise BadRequest("the mail names no recipient", member="data.to")
    return tuple(found)


def _rebuilt(email: Mapping[str, Any]) -> bytes:
    given = dict(member(email, "headers"))
    names = {name.lower() for name in given}
    own = {
        name: ", ".join(found)
        for name, key in _FIELDS.items()
        if name.lower() not in names and (found := texts(email.get(key)))
    }
    return rebuilt_mail(
        {"headers": given | own, "text": whole_text(email, "text"), "html": whole_text(email, "html")}
    )
