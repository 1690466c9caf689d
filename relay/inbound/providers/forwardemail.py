"""``POST /inbound/forwardemail``: Forward Email's webhook, the JSON of Nodemailer's mailparser with an envelope.

Source: ``helpers/on-data-mx.js``, ``get-error-code.js`` and ``retry-request.js`` of Forward Email's repository
(2026). Confirmed there: ``recipients`` are all aliases that point to this URL, one post for all; ``raw`` is the mail
as text; ``?attachments=false`` and ``?raw=false`` on the URL leave them out, and files are ``Buffer`` objects; the
post is made while the sending server waits; only 200 takes the mail, 408 (and 413, 429) makes that server try again,
anything else bounces; the signature is the hex HMAC-SHA256 of the body, sent when the domain has a key.

Unconfirmed, and chosen so that no mail is lost:

- A newer HTTP client may hide the status from the code that looks for 408, which would bounce that too. No answer
  is known to be better.
- A wrong signature or secret is 408 as well: a key that was changed at one end must not bounce everybody's mail.
- Older versions gave ``raw`` as latin-1; nothing in the post says so, and it is read as the UTF-8 of today.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.datastructures import Headers

from relay import mime
from relay.errors import BadRequest
from relay.inbound.proof.signature import HEX_SHA256, same, verify_shared_secret
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    NotProven,
    Post,
    WebhookProvider,
    WrongWebhook,
    event_of_mail,
)
from relay.inbound.webhook.rebuild import Attachment, rebuilt_mail
from relay.inbound.webhook.received import hop
from relay.inbound.webhook.values import (
    member,
    moment,
    objects,
    posted_object,
    text,
    texts,
    whole_text,
)

_RETRY_SECONDS = 5 * 24 * 3600  # a sending server gives up after 4 to 5 days, RFC 5321 section 4.5.4.1
# 413 would be tried again, for days, by every sending server: 400 tells the author at once. 503 would bounce.
_ANSWERS = Answers(not_proven=408, too_large=400, unavailable=408)
_SIGNATURE = "x-webhook-signature"


@dataclass(frozen=True, slots=True)
class ForwardEmail(WebhookProvider):
    """The provider ``forwardemail``."""

    name: str = "forwardemail"
    answers: Answers = _ANSWERS
    # A Buffer is a list of numbers: up to 4 bytes for each of a file, beside raw, text and HTML.
    body_factor: ClassVar[int] = 8

    def proof_in_head(self, headers: Headers) -> bool:
        """A signature is over the body; the shared secret is beside it."""
        return _SIGNATURE not in headers

    def verify(self, post: Post) -> None:
        """A signature that is there must be good; without one the shared secret is asked for. Raises NotProven."""
        if _SIGNATURE not in post.headers:
            return verify_shared_secret(post, self.secrets)
        given = post.headers[_SIGNATURE].strip().lower()
        digests = [
            hmac.new(secret.encode("utf-8", "surrogatepass"), post.body, hashlib.sha256).hexdigest()
            for secret in self.secrets
        ]
        if not any([same(given, digest) for digest in digests]):  # noqa: C419  # all are looked at, see signature.py
            raise NotProven("X-Webhook-Signature does not match any secret of this provider")
        return None

    def unproven_limit(self, head: Post, max_message_bytes: int) -> int:
        """Raises NotProven: the head has no signature."""
        if not HEX_SHA256.fullmatch(head.headers.get(_SIGNATURE, "").strip()):
            raise NotProven("X-Webhook-Signature is no HMAC-SHA256 in hex")
        return self.body_limit(max_message_bytes)

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail, for all its aliases. Raises BadRequest or UnsupportedMediaType."""
        event = posted_object(post, "Forward Email")
        session = member(event, "session")
        recipients = tuple(dict.fromkeys(texts(event.get("recipients")) or texts(session.get("recipient"))))
        if not recipients and "bounce" in event:
            raise WrongWebhook(
                "this is Forward Email's bounce webhook, for mail that was sent: give it another URL",
                member="bounce",
            )
        if not recipients:
            raise BadRequest("recipients is missing: it names the recipients", member="recipients")
        given = whole_text(event, "raw").encode()
        raw = given or _rebuilt(event)
        parts = mime.parse(raw)
        mta = text(session, "mta").lower()
        return [
            Delivery(
                recipients=recipients,
                raw=raw,
                parts=parts,
                received=moment(session.get("arrivalDate")) or post.received,
                ip=text(session, "remoteAddress"),
                via=mta or self.name,
                rtls=hop(parts.headers, mta or "forwardemail.net").rtls,
                raw_synthesized=not given,
                event=event_of_mail(parts, text(session, "sender")),
                retry_seconds=_RETRY_SECONDS,
            )
        ]


def _rebuilt(event: Mapping[str, Any]) -> bytes:
    headers = list(_headers(event))
    plain, html = whole_text(event, "text"), whole_text(event, "html")
    if not (headers or plain or html):
        raise BadRequest("there is no mail in the post: raw, headerLines, text and html are missing")
    return rebuilt_mail({"headers": headers, "text": plain, "html": html}, list(_attachments(event)))


def _headers(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields as they stood in the mail; from the block of them where the list is missing."""
    lines = [line for one in objects(event.get("headerLines")) if (line := whole_text(one, "line"))]
    if not lines:
        lines = (
            whole_text(event, "headers").replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ").split("\n")
        )
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip(), value.strip()


def _attachments(event: Mapping[str, Any]) -> Iterator[Attachment]:
    for one in objects(event.get("attachments")):
        yield Attachment(
            content=_buffer(one.get("content")),
            filename=text(one, "filename"),
            content_type=text(one, "contentType"),
            content_id=text(one, "cid"),
            inline=text(one, "contentDisposition").lower() == "inline",
        )


def _buffer(value: object) -> bytes:
    """Node's ``Buffer`` as JSON has it: ``{"type": "Buffer", "data": [numbers]}``; b"" for anything else."""
    data = value.get("data") if isinstance(value, dict) else None
    try:
        return bytes(data) if isinstance(data, list) else b""
    except (TypeError, ValueError):
        return b""
