"""``POST /inbound/mailgun``: Mailgun routes, ``forward()``: parsed, or the mail itself when the URL ends in ``mime``.

And ``store(notify)``: a notification with ``message-url``, where the mail lies for 3 days; it is fetched.

Sources: Mailgun's manual (Receive HTTP, Storing and retrieving, Securing webhooks, Webhook retries); django-anymail's
captured posts.
Confirmed: the fields; one post for each recipient and matching route; the signature, which covers timestamp and token
but not the body; 200 is taken, 406 given up, all else tried again for about 8 hours.

Unconfirmed: whether a retry is signed anew. So a timestamp may be as old as the last retry, and the token names the
event: whoever repeats one within that time delivers nothing. Were retries signed anew, an answer of ours that got lost
on its way would mean the mail twice, never not at all. Unconfirmed, too, is the largest mail (25 MB), and all hosts of
stored mail: those below api.mailgun.net and api.eu.mailgun.net are asked, for a stored message and nothing else,
because the signature does not cover the URL. The answer is taken as JSON with ``body-mime``, or as the mail itself.

Answers: what is not proven is 401, because a wrong secret is mended within 8 hours of retries, and 406 would lose
the mail. What cannot be read is taken and parked. Too large stays too large: 406.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson

from relay import mime
from relay.errors import BadRequest
from relay.inbound.proof.signature import any_same, hmac_digest
from relay.inbound.webhook.form import (
    MAX_FIELDS,
    Field,
    Form,
    parse_form,
)
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    Fetch,
    NotProven,
    Post,
    WebhookProvider,
    WrongWebhook,
)
from relay.inbound.webhook.rebuild import Attachment, rebuilt_mail
from relay.inbound.webhook.received import hop
from relay.inbound.webhook.short_fields import find_short
from relay.inbound.webhook.values import (
    json_object,
    media_type,
    spam_of_score,
    whole_text,
)
from relay.mime import Parts
from relay.network import is_plain_https
from relay.queues.parked import kept

_ANSWERS = Answers(unreadable=200, too_large=406)
_RETRY_SECONDS = 10 * 3600  # longer than a token is accepted
_MAX_AGE_SECONDS = 9 * 3600  # the last retry comes after 8 hours
_MAX_FUTURE_SECONDS = 300  # their clock and ours
_TIMESTAMP = re.compile(r"[0-9]{1,15}")
_JSON = "application/json"  # of its tracking webhooks, which bring no mail
_MAX_TRACKING_BYTES = 64 * 1024  # an event has some KiB
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_PROOF = ("timestamp", "token", "signature", "parent-signature")
# Beside these the form has every header of the mail again, and its texts without quotations.
_FIELDS = frozenset(
    [
        *("recipient", "from", "subject", "body-mime", "body-plain", "body-html", "message-headers", "timestamp"),
        *("token", "event", "message-url", "attachments", "content-id-map", "X-Mailgun-Sscore", "X-Mailgun-Sflag"),
        *(f"attachment-{number}" for number in range(MAX_FIELDS)),
    ]
)
_ALWAYS = frozenset(["recipient", "from", "subject", "timestamp", "token"])
_TRACKING = (
    "this is a delivery event of Mailgun: point a route (Receiving > Routes) at this URL, and webhooks elsewhere"
)
_STORE = (
    "this is a notification of Mailgun's store(notify), but not with a message-url at Mailgun, where the mail could be"
    " fetched; use forward() with this URL in the route"
)
_MESSAGE_URL = re.compile(
    r"https://(?:[a-z0-9-]{1,63}\.)?api(?:\.eu)?\.mailgun\.net/v[0-9]/domains/[A-Za-z0-9._-]+/messages/[A-Za-z0-9._=-]+"
)
_MIME = "message/rfc2822"  # as Mailgun names what else is message/rfc822
_STORED_SECONDS = 3 * 24 * 3600  # that Mailgun keeps it


@dataclass(frozen=True, slots=True)
class Mailgun(WebhookProvider):
    """The provider ``mailgun``."""

    name: str = "mailgun"
    answers: Answers = _ANSWERS
    # A mail in an urlencoded form grows threefold at worst; headers stand there twice.
    body_factor: ClassVar[int] = 4

    def verify(self, post: Post) -> None:
        """Raises NotProven."""
        signed = _signed(post)
        timestamp, token = signed.get("timestamp", ""), signed.get("token", "")
        if not token or not _TIMESTAMP.fullmatch(timestamp):
            raise NotProven("Mailgun's signature is missing: timestamp, token and signature must be in the post")
        age_seconds = int(post.received.timestamp()) - int(timestamp)
        if not -_MAX_FUTURE_SECONDS <= age_seconds <= _MAX_AGE_SECONDS:
            raise NotProven(f"the timestamp is more than {_MAX_AGE_SECONDS // 3600} hours old, or in the future")
        expected = [hmac_digest(secret, f"{timestamp}{token}", "sha256").hex() for secret in self.secrets]
        # A subaccount's mail is signed with its parent's key as well.
        given = [signed.get(name, "").lower() for name in ("signature", "parent-signature")]
        if not any_same(given, expected):
            raise NotProven("Mailgun's signature does not match: the secret is the HTTP webhook signing key")

    def unproven_limit(self, head: Post, max_message_bytes: int) -> int:
        """A form may be as long as a mail: its signature may stand at its end. Raises NotProven: it is no form."""
        if (kind := media_type(head)) == _JSON:
            return _MAX_TRACKING_BYTES
        if kind not in _FORMS:
            raise NotProven("Mailgun's signature is missing: this is neither a form nor JSON")
        return self.body_limit(max_message_bytes)

    def parse(self, post: Post) -> Sequence[Delivery | Fetch]:
        """One mail, or what to ask for it. Raises BadRequest or UnsupportedMediaType."""
        if media_type(post) == _JSON:
            raise WrongWebhook(_TRACKING)
        form = _own(parse_form(post.headers.get("content-type", ""), post.body, _FIELDS))
        recipient = _recipient(form)
        given = form.last("body-mime") or b""
        if not given and (form.last("message-url") or form.last("attachments")):
            return [self._announced(form, post)]
        delivery = _delivery(form, given or _rebuilt(form, recipient), post.received)
        return [replace(delivery, raw_synthesized=not given)]

    def may_fetch(self, url: str) -> bool:
        """A stored message at Mailgun."""
        return is_plain_https(url) and _MESSAGE_URL.fullmatch(url) is not None

    def key_header(self, api_key: str) -> tuple[str, str]:
        """Basic, as Mailgun's API wants it."""
        return "authorization", f"Basic {base64.b64encode(f'api:{api_key}'.encode()).decode()}"

    def answers_limit(self, max_message_bytes: int) -> int:
        """JSON with the mail as text."""
        return max_message_bytes * 2

    def fetched(self, fetch: Fetch, bodies: Sequence[bytes]) -> Delivery:
        """The mail. ``bodies``: the answer of ``message-url``. Raises BadRequest or UnsupportedMediaType."""
        form = _own(parse_form(dict(fetch.headers).get("content-type", ""), fetch.post, _FIELDS))
        [answer] = bodies
        return replace(_delivery(form, _stored(answer), fetch.received), retry_seconds=fetch.retry_seconds)

    def _announced(self, form: Form, post: Post) -> Fetch:
        url = form.text("message-url")
        if not self.may_fetch(url):
            raise BadRequest(_STORE, member="message-url")
        return Fetch(
            urls=(url,),
            with_key=True,
            post=post.body,
            received=post.received,
            event=f"token:{form.text('token')}",
            retry_seconds=_STORED_SECONDS,
            headers=kept(post.headers.items()),
            accept=_MIME,
        )


def _own(form: Form) -> Form:
    """Mailgun's own fields. Each header of the mail is a field too, and one may have the name of one of Mailgun's."""
    headers = Counter((name, value.strip()) for name, value in _headers(form))
    if not any(name in _FIELDS for name, _ in headers):
        return form
    of_mail: set[int] = set()
    for index, one in enumerate(form.fields):
        header = (one.name, one.value.decode("utf-8", "replace").strip())
        if one.filename is None and headers[header] and one.name != "message-headers":
            headers[header] -= 1
            of_mail.add(index)
    left = [one for index, one in enumerate(form.fields) if index not in of_mail]
    # What every post has is there without a header of that name; two of one value are the same.
    names = {one.name for one in left}
    left += [one for index, one in enumerate(form.fields) if index in of_mail and one.name in _ALWAYS - names]
    return replace(form, fields=tuple(left))


def _delivery(form: Form, raw: bytes, received: datetime) -> Delivery:
    parts = mime.parse(raw)
    last = hop(parts.headers, "")
    return Delivery(
        recipients=(_recipient(form),),
        raw=raw,
        parts=parts,
        received=_moment(form.text("timestamp")) or received,
        ip=last.ip,
        via=last.via,
        rtls=last.rtls,
        spam=_spam(form, parts),
        event=f"token:{form.text('token')}",
        retry_seconds=_RETRY_SECONDS,
    )


def _stored(answer: bytes) -> bytes:
    """The mail in what is stored. Raises BadRequest."""
    if not answer.lstrip().startswith(b"{"):
        return answer
    if not (written := whole_text(json_object(answer), "body-mime")):
        raise BadRequest("what Mailgun has stored holds no body-mime", member="body-mime")
    return written.encode()


def _signed(post: Post) -> Mapping[str, str]:
    """What is to be proven; of a tracking webhook too, so that its owner is told what is wrong."""
    if media_type(post) == _JSON:
        try:
            event = orjson.loads(post.body)
        except orjson.JSONDecodeError:
            return {}
        signature = event.get("signature") if isinstance(event, dict) else None
        found = signature if isinstance(signature, dict) else {}
        return {name: found[name] for name in _PROOF if isinstance(found.get(name), str)}
    return find_short(post.headers.get("content-type", ""), post.body, _PROOF)


def _recipient(form: Form) -> str:
    """The envelope's. Raises BadRequest for what is no mail of a route."""
    if form.text("event") not in ("", "inbound"):
        raise WrongWebhook(_TRACKING)
    recipient = form.text("recipient")
    if not recipient:
        raise BadRequest("recipient is missing: this is no post of a Mailgun route", member="recipient")
    return recipient


def _rebuilt(form: Form, recipient: str) -> bytes:
    html = "\n".join(one.value.decode("utf-8", "replace") for one in form.all("body-html"))
    event = {
        "headers": _headers(form) or [("To", recipient), ("From", form.text("from"))],
        "subject": form.text("subject"),
        "text": (form.last("body-plain") or b"").decode("utf-8", "replace"),
        "html": html,
    }
    ids = _content_ids(form)
    files = [one for one in form.fields if one.filename is not None]
    return rebuilt_mail(event, [_attachment(one, ids.get(one.name, ""), html) for one in files])


def _headers(form: Form) -> list[tuple[str, str]]:
    """In the order of the mail. A structured value is [value, {parameter: value}]: those describe the body, and go.

    A header of the mail may have the name of the list. The list names it, value and all, so it is the longest.
    """
    return _pairs(max((one.value for one in form.all("message-headers")), key=len, default=b""))


def _pairs(given: bytes) -> list[tuple[str, str]]:
    try:
        pairs = orjson.loads(given or b"null")
    except orjson.JSONDecodeError:
        return []
    found: list[tuple[str, str]] = []
    for pair in pairs if isinstance(pairs, list) else []:
        if isinstance(pair, list) and len(pair) == 2:
            name, value = pair
            value = value[0] if isinstance(value, list) and value else value
            if isinstance(name, str) and isinstance(value, str):
                found.append((name, value))
    return found


def _content_ids(form: Form) -> Mapping[str, str]:
    """Content-ID by the name of the attachment's field. The map has a key more than once, "" for one."""
    try:
        pairs: Any = json.loads(form.last("content-id-map") or b"[]", object_pairs_hook=list)
    except (ValueError, RecursionError):
        return {}
    pairs = [pair for pair in pairs if isinstance(pair, tuple)] if isinstance(pairs, list) else []
    return {name: content_id for content_id, name in pairs if content_id and isinstance(name, str)}


def _attachment(one: Field, content_id: str, html: str) -> Attachment:
    shown = bool(content_id) and f"cid:{content_id.strip('<>')}" in html
    return Attachment(one.value, one.filename or "", one.content_type, content_id, inline=shown)


def _moment(timestamp: str) -> datetime | None:
    return datetime.fromtimestamp(int(timestamp), UTC) if re.fullmatch(r"[0-9]{1,10}", timestamp) else None


def _spam(form: Form, parts: Parts) -> float | None:
    """Only with a domain whose spam filter tags and delivers; the score, else the verdict."""
    headers = dict(reversed(parts.headers))
    score = form.text("X-Mailgun-Sscore") or headers.get("x-mailgun-sscore", "")
    verdict = form.text("X-Mailgun-Sflag") or headers.get("x-mailgun-sflag", "")
    known = spam_of_score(score.strip())
    return {"yes": 1.0, "no": 0.0}.get(verdict.strip().lower()) if known is None else known
