"""``POST /inbound/mandrill``: Mandrill's (Mailchimp Transactional's) inbound webhooks, in batches.

Sources: Mailchimp's help (Authenticate webhook requests) and reference (Inbound webhooks), django-anymail's captured
posts. Confirmed: one form field ``mandrill_events`` with a JSON array; the signature, HMAC-SHA1 over the URL exactly
as it was typed in at Mandrill, and each field's name and value; that before a webhook is made its URL is asked with
HEAD, or with an empty array signed by the key ``test-webhook``, because its own key comes after; the answer 200. PHP
writes ``[]`` for an empty object.

The URL that was typed in is ``Post.url`` (RELAY_PUBLIC_URL, or what the request itself says); if it is not that, the
URL with the host of the request is tried, and with the user and password that the request brings. Whose signature
matches any of them has the key: the URL is no secret.

Unconfirmed: how long a batch is tried again, and how large it is. So an event counts as repeated for three days, by its
time and the bytes of its mail, and what cannot be read is taken and parked. That the top-most Received field is the one
of Mandrill's server is as in its own example.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

from relay import mime
from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.proof.signature import any_same
from relay.inbound.webhook.batch import read_each
from relay.inbound.webhook.form import parse_form, spans, value_pieces
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    NotProven,
    Post,
    Unreadable,
    WebhookProvider,
    WrongWebhook,
    event_of_body,
)
from relay.inbound.webhook.rebuild import Attachment, rebuilt_mail
from relay.inbound.webhook.received import hop
from relay.inbound.webhook.values import (
    base64_bytes,
    json_array,
    media_type,
    member,
    moment,
    spam_of_score,
    text,
    whole_text,
)

_ANSWERS = Answers(unreadable=200)
_RETRY_SECONDS = 3 * 24 * 3600  # not documented; as long as any provider is known to go on
_SIGNATURE = "x-mandrill-signature"
_SET_UP_KEY = "test-webhook"
_MAX_PROBE_BYTES = 1024
_SIGNATURE_BYTES = 20  # of HMAC-SHA1
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")


@dataclass(frozen=True, slots=True)
class Mandrill(WebhookProvider):
    """The provider ``mandrill``."""

    name: str = "mandrill"
    answers: Answers = _ANSWERS
    # The mail, and its texts and files again, with JSON's escapes, and those of the form around them; several in a
    # batch.
    body_factor: ClassVar[int] = 8

    def verify(self, post: Post) -> None:
        """Raises NotProven."""
        given = _given(post)
        probe = len(post.body) <= _MAX_PROBE_BYTES and b"".join(_signed(post)) == b"mandrill_events[]"
        keys = (*self.secrets, _SET_UP_KEY) if probe else self.secrets
        urls = [url.encode("utf-8", "surrogatepass") for url in dict.fromkeys(_urls(post))]
        digests = [hmac.new(key.encode("utf-8", "surrogatepass"), url, "sha1") for url in urls for key in keys]
        for piece in _signed(post):
            for digest in digests:
                digest.update(piece)
        if any_same([given], [digest.digest() for digest in digests]):
            return
        raise NotProven(
            f"{_SIGNATURE} does not match: the secret is the webhook's key, and RELAY_PUBLIC_URL must be how the URL"
            " begins that was typed in at Mandrill"
        )

    def unproven_limit(self, head: Post, max_message_bytes: int) -> int:
        """Raises NotProven: there is no signature, or no form."""
        _given(head)
        return self.body_limit(max_message_bytes)

    def parse(self, post: Post) -> Sequence[Delivery | Unreadable]:
        """The mails. Raises BadRequest or UnsupportedMediaType."""
        events = parse_form(post.headers.get("content-type", ""), post.body).last("mandrill_events")
        if events is None:
            raise BadRequest("mandrill_events is missing: this is no post of Mandrill", member="mandrill_events")
        return read_each(json_array(events), lambda event: _delivery(event, post), post, _post_of)


def _given(post: Post) -> bytes:
    """The signature. Raises NotProven: there is none, or it is over no form."""
    with suppress(ValueError):  # binascii.Error is one; non-ASCII text gives one
        given = base64.b64decode(post.headers.get(_SIGNATURE, ""), validate=True)
        if len(given) == _SIGNATURE_BYTES and media_type(post) in _FORMS:
            return given
    raise NotProven(f"{_SIGNATURE} is missing, or is over no form")


def _signed(post: Post) -> Iterator[bytes]:
    """Names and values in the order of the names, in pieces: a form of 200 MB is never there twice.

    Raises NotProven: it is no form.
    """
    try:
        if media_type(post) == _FORMS[0]:
            for one in sorted(spans(post.body), key=lambda one: one.name):
                yield one.name.encode()
                yield from value_pieces(post.body, one)
        else:
            form = parse_form(post.headers.get("content-type", ""), post.body)
            for field in sorted(form.fields, key=lambda one: one.name):
                yield field.name.encode()
                yield field.value
    except (BadRequest, UnsupportedMediaType):
        raise NotProven(f"{_SIGNATURE} is missing, or is over no form") from None


def _post_of(array: bytes) -> bytes:
    return urlencode({"mandrill_events": array}).encode()


def _urls(post: Post) -> Iterator[str]:
    """What may have been typed in at Mandrill, the likeliest first."""
    credentials = _credentials(post)
    if post.url:
        scheme, separator, rest = post.url.partition("://")
        yield f"{scheme}{separator}{credentials}{rest}"
        target = f"/{rest.partition('/')[2]}"
    else:
        target = "/inbound/mandrill" + (f"?{post.query}" if post.query else "")
    host = post.headers.get("x-forwarded-host", "").partition(",")[0].strip() or post.headers.get("host", "")
    if _HOST.fullmatch(host):  # a "/" in it would let the URL be cut elsewhere than it was when it was signed
        for scheme in ("https", "http"):
            yield f"{scheme}://{credentials}{host}{target}"


def _credentials(post: Post) -> str:
    """``user:password@`` when the request brings them: they stood in the URL."""
    scheme, _, value = post.headers.get("authorization", "").partition(" ")
    with suppress(ValueError):
        if scheme.lower() == "basic":
            return base64.b64decode(value.strip(), validate=True).decode("utf-8") + "@"
    return ""


def _delivery(event: Any, post: Post) -> Delivery:
    """Raises BadRequest."""
    kind = (text(event, "event") or text(event, "type")) if isinstance(event, dict) else ""
    if not kind:
        raise BadRequest("the event is none of Mandrill's: it has no event", member="event")
    if kind != "inbound":
        raise WrongWebhook(
            f"this is an event of Mandrill ({kind[:40]}), no mail: set this URL as a route of an inbound domain, and"
            " the webhook for events elsewhere"
        )
    msg = member(event, "msg")
    recipient = text(msg, "email")
    if not recipient:
        raise BadRequest("msg.email is missing: it names the recipient", member="email")
    given = whole_text(msg, "raw_msg").encode("utf-8", "replace")
    raw = given or _rebuilt(msg)
    parts = mime.parse(raw)
    last, at = hop(parts.headers, ""), moment(event.get("ts"))
    return Delivery(
        recipients=(recipient,),
        raw=raw,
        parts=parts,
        received=at or post.received,
        ip=last.ip,
        via=last.via,
        rtls=last.rtls,
        spam=spam_of_score(member(msg, "spam_report").get("score")),
        raw_synthesized=not given,
        event=f"ts:{at.timestamp() if at else ''} {event_of_body(raw)}",
        retry_seconds=_RETRY_SECONDS,
    )


def _rebuilt(msg: Mapping[str, Any]) -> bytes:
    """For a mail without raw_msg, which is not documented to come."""
    html = whole_text(msg, "html")
    event = {
        "headers": msg.get("headers"),
        "from": [{"address": text(msg, "from_email"), "name": text(msg, "from_name")}],
        **{name: list(_mailboxes(msg.get(name))) for name in ("to", "cc")},
        **{name: msg.get(name) for name in ("subject", "text", "html")},
    }
    files = [_attachment(one, name, html) for name, one in member(msg, "images").items()]
    files += [_attachment(one, "", html) for one in member(msg, "attachments").values()]
    return rebuilt_mail(event, [one for one in files if one])


def _mailboxes(pairs: object) -> Iterator[dict[str, object]]:
    """[[address, name or null], …]"""
    for pair in pairs if isinstance(pairs, list) else []:
        if isinstance(pair, list) and pair:
            yield {"address": pair[0], "name": pair[1] if len(pair) > 1 else None}


def _attachment(one: object, content_id: str, html: str) -> Attachment | None:
    """Images are always base64 and named by their Content-ID; attached texts come as they are, with base64 false."""
    if not isinstance(one, dict):
        return None
    content = whole_text(one, "content")
    plain = one.get("base64") is False
    return Attachment(
        content=content.encode("utf-8", "replace") if plain else base64_bytes(content) or b"",
        filename=text(one, "name"),
        content_type=text(one, "type"),
        content_id=content_id,
        inline=bool(content_id) and f"cid:{content_id}" in html,
    )
