"""``POST /inbound/improvmx``: a webhook of ImprovMX, one JSON object per mail and alias.

Source: ImprovMX' guide "Webhooks" with its sample payload. ImprovMX signs nothing: the proof is the shared secret in
the URL (``?token=``, or Basic password), for which it is asked nowhere else. Any 2xx is success; after a 4xx or 5xx it
tries twice more, then the mail is dropped: what cannot be read is therefore taken and parked.

The mail itself is not posted, so it is rebuilt. The inbox is ``Delivered-To``. ``timestamp`` is not used: in the sample
it is the local time of the writer's ``Date`` taken for UTC, eight hours off; the mail was received now.

Unconfirmed: ``raw_url`` (named by others; never fetched), when the tries come, the largest mail, and what ``encoding``
of an attachment may say: all but base64 is taken as text. There is no id; the event is the mail (see mailjet.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, ClassVar

from relay import mime
from relay.errors import BadRequest
from relay.inbound.proof.shared_secret import SharedSecretProvider
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    Post,
    event_of_mail,
)
from relay.inbound.webhook.rebuild import Attachment, rebuilt_mail
from relay.inbound.webhook.received import hop
from relay.inbound.webhook.values import (
    base64_bytes,
    member,
    objects,
    posted_object,
    text,
    texts,
    whole_text,
)
from relay.mime import Parts

_ANSWERS = Answers(unreadable=200)
_RETRY_SECONDS = 24 * 3600  # two tries, at times that are not documented
# In order of trust; the first is what the guide shows.
_RECIPIENT_HEADERS = ("delivered-to", "x-original-to", "x-forwarded-to")
_HOST = "improvmx.com"
_SPF = re.compile(r"\b(receiver|client-ip)=([0-9A-Za-z.:-]{1,255})")
_MAX_FIELD = 2000  # characters; the sample's has 170


@dataclass(frozen=True, slots=True)
class ImprovMX(SharedSecretProvider):
    """The provider ``improvmx``."""

    name: str = "improvmx"
    answers: Answers = _ANSWERS
    body_factor: ClassVar[int] = 3  # attachments in base64, and text with JSON escapes, which may treble it

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail. Raises BadRequest or UnsupportedMediaType."""
        event = posted_object(post, "ImprovMX")
        headers = {
            name.lower(): found for name, values in member(event, "headers").items() if (found := texts(values))
        }
        recipient = _recipient(event, headers)
        raw = rebuilt_mail(_mail(event, headers), list(_attachments(event)))
        parts = mime.parse(raw)
        ip, via, rtls = _origin(parts, headers)
        return [
            Delivery(
                recipients=(recipient,),
                raw=raw,
                parts=parts,
                received=post.received,
                ip=ip,
                via=via,
                rtls=rtls,
                raw_synthesized=True,
                event=event_of_mail(parts, text(member(event, "return-path"), "email")),
                retry_seconds=_RETRY_SECONDS,
            )
        ]


def _recipient(event: Mapping[str, Any], headers: Mapping[str, list[str]]) -> str:
    for name in _RECIPIENT_HEADERS:
        if (
            found := headers.get(name, [""])[0].removeprefix("<").removesuffix(">")
        ):  # the top-most is ImprovMX' own
            return found
    to = [address for one in objects(event.get("to")) if (address := text(one, "email"))]
    if len(to) == 1:
        return to[0]
    raise BadRequest(
        "headers name no recipient in Delivered-To, and to not exactly one", member="headers.Delivered-To"
    )


def _mail(event: Mapping[str, Any], headers: Mapping[str, list[str]]) -> dict[str, Any]:
    """As :func:`rebuild` wants it; the fields of the header that have members of their own are not in ``headers``."""
    message_id, return_path = text(event, "message-id"), text(member(event, "return-path"), "email")
    given = {
        "return-path": f"<{return_path}>" if return_path else "",
        "message-id": message_id if message_id.startswith("<") or not message_id else f"<{message_id}>",
        "date": text(event, "date"),
    }
    return {
        "headers": {**{name: value for name, value in given.items() if value}, **headers},
        "from": _mailboxes([event.get("from")]),
        "to": _mailboxes(event.get("to")),
        "cc": _mailboxes(event.get("cc")),
        "subject": event.get("subject"),
        "text": event.get("text"),
        "html": event.get("html"),
    }


def _mailboxes(value: object) -> list[dict[str, Any]]:
    return [{"name": one.get("name"), "address": one.get("email")} for one in objects(value)]


def _attachments(event: Mapping[str, Any]) -> Iterator[Attachment]:
    for kind in ("inlines", "attachments"):
        for one in objects(event.get(kind)):
            content = whole_text(one, "content")
            decoded = base64_bytes(content) if text(one, "encoding").lower() in ("", "base64") else None
            yield Attachment(
                content=content.encode() if decoded is None else decoded,
                filename=text(one, "name"),
                content_type=text(one, "type"),
                content_id=text(one, "cid"),
                inline=kind == "inlines",
            )


def _origin(parts: Parts, headers: Mapping[str, list[str]]) -> tuple[str, str, bool]:
    """SMTP client, receiving server, TLS: of its Received field, else of its Received-SPF (RFC 7208 section 9.1)."""
    last = hop(parts.headers, _HOST)
    if last.via:
        return last.ip, last.via, last.rtls
    said = dict(_SPF.findall(headers.get("received-spf", [""])[0][:_MAX_FIELD]))
    receiver = said.get("receiver", "").lower()
    if not f".{receiver}".endswith(f".{_HOST}"):
        return "", "", False
    try:
        return str(ip_address(said.get("client-ip", ""))), receiver, False
    except ValueError:
        return "", receiver, False
