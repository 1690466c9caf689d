"""``POST /inbound/brevo``: Brevo's inbound parsing. Texts and header are posted, files are fetched.

Source: Brevo's guide "Inbound parsing webhooks", and a payload captured in django-anymail's tests. ``{"items": […]}``
is a batch. Brevo signs nothing: the proof is the shared secret, as Basic password of the URL or as Bearer token. Files
are at https://api.brevo.com/v3/inbound/attachments/{DownloadToken}, with the API key. The mail itself is not posted.

Unconfirmed: what follows an answer other than 200 (what cannot be read is taken and parked, an item at a time), and the
envelope: ``Recipients`` (documented, missing in captures) counts first, then ``Delivered-To``, else all that To and Cc
name, of which relay keeps those that somebody reserved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import orjson

from relay import mime
from relay.errors import BadRequest
from relay.inbound.proof.shared_secret import SharedSecretProvider
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    Fetch,
    Post,
    Unreadable,
    WrongWebhook,
    event_of_body,
)
from relay.inbound.webhook.rebuild import Attachment, rebuilt_mail
from relay.inbound.webhook.received import hop
from relay.inbound.webhook.values import (
    json_object,
    member,
    objects,
    posted_object,
    spam_of_score,
    text,
    texts,
    whole_text,
)
from relay.network import is_plain_https
from relay.queues.parked import kept

_API = "https://api.brevo.com/v3/inbound/attachments/"
_TOKEN = re.compile(r"(?=.*[A-Za-z0-9])[!-~]{1,2048}")  # dots alone would be another path
_ANSWERS = Answers(unreadable=200)
_RETRY_SECONDS = 2 * 24 * 3600  # not documented
_MAX_FILES = 1000  # each is a request


@dataclass(frozen=True, slots=True)
class Brevo(SharedSecretProvider):
    """The provider ``brevo``."""

    name: str = "brevo"
    answers: Answers = _ANSWERS
    body_factor: ClassVar[int] = 4  # a batch of texts with JSON escapes, without their files

    def parse(self, post: Post) -> Sequence[Delivery | Fetch | Unreadable]:
        """A mail for each item, or what to ask for its files. Raises BadRequest or UnsupportedMediaType."""
        event = posted_object(post, "Brevo")
        items = event.get("items")
        if not isinstance(items, list):
            problem = WrongWebhook if "event" in event else BadRequest
            raise problem(
                "there are no items: this is an event of Brevo's other webhooks, or none; point inbound parsing here",
                member="items",
            )
        return [_item(post, item) for item in items]

    def may_fetch(self, url: str) -> bool:
        """A file at Brevo's API."""
        token = unquote(url.removeprefix(_API))
        return is_plain_https(url) and _TOKEN.fullmatch(token) is not None and url == _API + quote(token, safe="")

    def key_header(self, api_key: str) -> tuple[str, str]:
        """As Brevo's API wants it."""
        return "api-key", api_key

    def answers_limit(self, max_message_bytes: int) -> int:
        """Files come as they are."""
        return max_message_bytes

    def fetched(self, fetch: Fetch, bodies: Sequence[bytes]) -> Delivery:
        """The mail. ``bodies``: of the answers to ``fetch.urls``, in their order. Raises BadRequest."""
        [item] = objects(json_object(fetch.post).get("items"))
        return _delivery(fetch, item, bodies)


def _item(post: Post, item: object) -> Delivery | Fetch | Unreadable:
    """An item without files is a mail at once."""
    try:
        alone = orjson.dumps({"items": [item]})
    except orjson.JSONEncodeError:  # deeper than it writes; it reads deeper
        return Unreadable("an item is nested too deeply", post.body)
    if not isinstance(item, dict):
        return Unreadable("an item is no object", alone)
    tokens = [text(one, "DownloadToken") for one in objects(item.get("Attachments"))]
    if not all(_TOKEN.fullmatch(token) for token in tokens):
        return Unreadable("an attachment has no DownloadToken", alone)
    if len(tokens) > _MAX_FILES:
        return Unreadable(f"a mail has more than {_MAX_FILES} files", alone)
    names = texts(item.get("Uuid"))
    fetch = Fetch(
        urls=tuple(_API + quote(token, safe="") for token in tokens),
        with_key=True,
        post=alone,
        received=post.received,
        event=f"id:{names[0]}" if names else event_of_body(alone),
        retry_seconds=_RETRY_SECONDS,
        headers=kept(post.headers.items()),
    )
    try:
        _recipients(item)  # now, not after the files have come
        return fetch if fetch.urls else _delivery(fetch, item, [])
    except BadRequest as exc:
        return Unreadable(str(exc), alone)


def _delivery(fetch: Fetch, item: Mapping[str, Any], bodies: Sequence[bytes]) -> Delivery:
    described = objects(item.get("Attachments"))
    files = [_attachment(one, content) for one, content in zip(described, bodies, strict=True)]
    raw = rebuilt_mail(_mail(item), files)
    parts = mime.parse(raw)
    last = hop(parts.headers, "brevo.com")
    return Delivery(
        recipients=_recipients(item),
        raw=raw,
        parts=parts,
        received=fetch.received,
        ip=last.ip,
        via=last.via,
        rtls=last.rtls,
        spam=spam_of_score(item.get("SpamScore", member(item, "Spam").get("Score"))),
        raw_synthesized=True,
        event=fetch.event,
        retry_seconds=fetch.retry_seconds,
    )


def _recipients(item: Mapping[str, Any]) -> tuple[str, ...]:
    found = dict.fromkeys(_addresses(item, "Recipients"))
    if not found:
        headers = {name.lower(): texts(values) for name, values in member(item, "Headers").items()}
        found = dict.fromkeys(
            one.removeprefix("<").removesuffix(">") for one in headers.get("delivered-to", [])[:1]
        )
    found = found or dict.fromkeys([*_addresses(item, "To"), *_addresses(item, "Cc")])
    if not found:
        raise BadRequest("an item names no recipient", member="items.Recipients")
    return tuple(found)


def _addresses(item: Mapping[str, Any], name: str) -> Iterator[str]:
    yield from texts(item.get(name))
    yield from (address for one in objects(item.get(name)) if (address := text(one, "Address")))


def _mail(item: Mapping[str, Any]) -> dict[str, Any]:
    def mailboxes(value: object) -> list[dict[str, Any]]:
        return [{"name": one.get("Name"), "address": one.get("Address")} for one in objects(value)]

    return {
        "headers": item.get("Headers"),
        "from": mailboxes([item.get("From")]),
        "to": mailboxes(item.get("To")),
        "cc": mailboxes(item.get("Cc")),
        "subject": item.get("Subject"),
        "text": whole_text(item, "RawTextBody"),
        "html": whole_text(item, "RawHtmlBody"),
    }


def _attachment(one: Mapping[str, Any], content: bytes) -> Attachment:
    content_id = text(one, "ContentID")
    return Attachment(
        content=content,
        filename=text(one, "Name"),
        content_type=text(one, "ContentType"),
        content_id=content_id,
        inline=bool(content_id),  # Brevo does not post the disposition
    )
