"""``POST /inbound/cloudmailin``: CloudMailin's normalized formats (JSON, multipart) and its raw one.

Source: the documentation's repository of CloudMailin (2026). Confirmed there: the three formats; that ``envelope``
alone is the SMTP session's (``to``, all ``recipients`` of the transaction, ``remote_ip``, ``tls``); that the post is
made while the sending server waits, so 2xx takes the mail, 4xx makes it a bounce with our text (only if text/plain)
in it, and 5xx makes that server try again; that nothing is signed but the deprecated "original" format, with MD5: the
proof is the shared secret.

Unconfirmed, and chosen so that no mail is lost:

- Whether ``recipients`` is sent in every format, and always holds ``to``: both are read, each address once.
- A wrong secret is answered 503 and not 401: a secret that the operator mistyped must not bounce everybody's mail.
- A retry is a new session of the sending server, without any id: the mail itself is what is recognized.

Attachments in a store of the customer come as a URL, which is not fetched: the rebuilt mail has it as a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from relay import mime
from relay.errors import BadRequest
from relay.inbound.proof.shared_secret import SharedSecretProvider
from relay.inbound.webhook.form import Field, Form, parse_form
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
    media_type,
    member,
    objects,
    posted_object,
    spam_of_score,
    text,
    texts,
    truth,
    whole_text,
)

_RETRY_SECONDS = 5 * 24 * 3600  # a sending server gives up after 4 to 5 days, RFC 5321 section 4.5.4.1
_ANSWERS = Answers(not_proven=503)
_SERVERS = "cloudmailin.net"
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_KEY = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class CloudMailin(SharedSecretProvider):
    """The provider ``cloudmailin``."""

    name: str = "cloudmailin"
    answers: Answers = _ANSWERS
    # Text, HTML and the extracted reply beside base64 attachments, each with JSON escapes.
    body_factor: ClassVar[int] = 4

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail, for all recipients of its SMTP session. Raises BadRequest or UnsupportedMediaType."""
        event, given = _read(post)
        envelope = member(event, "envelope")
        recipients = _recipients(event, envelope)
        raw = given or _rebuilt(event)
        parts = mime.parse(raw)
        spamd = member(envelope, "spamd")
        return [
            Delivery(
                recipients=recipients,
                raw=raw,
                parts=parts,
                received=post.received,
                ip=text(envelope, "remote_ip"),
                via=hop(parts.headers, _SERVERS).via or self.name,
                rtls=truth(envelope.get("tls")),
                spam=None if spamd.get("success") in (False, "false") else spam_of_score(spamd.get("score")),
                raw_synthesized=not given,
                event=event_of_mail(parts, text(envelope, "from")),
                retry_seconds=_RETRY_SECONDS,
            )
        ]


def _read(post: Post) -> tuple[Mapping[str, Any], bytes]:
    """The event in the shape of the JSON format, and the raw mail, b"" where the format has none."""
    if media_type(post) in _FORMS:
        form = parse_form(post.headers.get("content-type", ""), post.body)
        return _event(form), form.last("message") or b""
    event = posted_object(post, "CloudMailin (JSON normalized)")
    return event, whole_text(event, "message").encode()


def _recipients(event: Mapping[str, Any], envelope: Mapping[str, Any]) -> tuple[str, ...]:
    found = dict.fromkeys([*texts(envelope.get("recipients")), *texts(envelope.get("to"))])
    if found:
        return tuple(found)
    if "events" in event and not envelope:
        raise WrongWebhook(
            "this is CloudMailin's webhook of events of sent mail: give this URL to an address that receives, and that"
            " webhook another",
            member="events",
        )
    if "to" in event and not envelope:
        raise BadRequest(
            "this is CloudMailin's deprecated original format, or a callback: choose JSON normalized, multipart"
            " normalized or raw",
            member="envelope",
        )
    raise BadRequest(
        "envelope.recipients and envelope.to are missing: they name the recipients", member="envelope"
    )


def _rebuilt(event: Mapping[str, Any]) -> bytes:
    headers = member(event, "headers")
    plain, html = whole_text(event, "plain"), whole_text(event, "html")
    if not (headers or plain or html):
        raise BadRequest("there is no mail in the post: headers, plain, html and message are missing")
    # The normalized names have lost whether there was a hyphen; no field that anybody reads has an underscore.
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return rebuilt_mail(
        {"headers": named, "text": plain, "html": html},
        [_attachment(one) for one in objects(event.get("attachments"))],
    )


def _attachment(one: Mapping[str, Any]) -> Attachment:
    name, url = text(one, "file_name"), text(one, "url")
    content = one.get("content")
    if not content and url:
        return Attachment(url.encode() + b"\r\n", f"{name or 'attachment'}.url", "text/uri-list")
    decoded = content if isinstance(content, bytes) else base64_bytes(text(one, "content"))
    return Attachment(
        content=decoded or b"",
        filename=name,
        content_type=text(one, "content_type"),
        content_id=text(one, "content_id"),
        inline=text(one, "disposition").lower().startswith("inline"),
    )


def _event(form: Form) -> dict[str, Any]:
    """The multipart format in the shape of the JSON one: ``envelope[spf][result]`` is an object in an object."""
    event: dict[str, Any] = {"headers": {}, "envelope": {}, "attachments": list(_attachments(form))}
    for one in form.fields:
        root, _, rest = one.name.partition("[")
        keys = _KEY.findall(f"[{rest}") if rest else []
        value = one.value.decode("utf-8", "replace")
        if root == "headers" and keys:
            event["headers"].setdefault(keys[0], []).append(value)
        elif root == "envelope" and keys:
            _put(event["envelope"], keys, value)
        elif root in ("plain", "html", "to") and not keys:
            event[root] = value
    return event


def _put(envelope: dict[str, Any], keys: list[str], value: str) -> None:
    if keys[0] == "recipients":
        envelope.setdefault("recipients", []).append(value)
    elif len(keys) == 1:
        envelope[keys[0]] = value
    elif isinstance(inner := envelope.setdefault(keys[0], {}), dict):
        inner[keys[1]] = value


def _attachments(form: Form) -> Iterator[dict[str, Any]]:
    """Files as ``attachments[]`` or ``attachments[0]``; stored ones as ``attachments[0][url]`` and beside it."""
    stored: dict[str, Any] = {}
    place = ""
    for one in form.fields:
        root, _, rest = one.name.partition("[")
        keys = _KEY.findall(f"[{rest}") if rest else []
        if root != "attachments":
            continue
        if one.filename is not None:
            yield _file(one)
        elif len(keys) == 2:
            if stored and (keys[0] != place or keys[1] in stored):
                yield stored
                stored = {}
            place, stored[keys[1]] = keys[0], one.value.decode("utf-8", "replace")
    if stored:
        yield stored


def _file(one: Field) -> dict[str, Any]:
    return {"content": one.value, "file_name": one.filename, "content_type": one.content_type}
