"""``POST /inbound/raw``: the mail itself as body (message/rfc822), its envelope beside it.

For scripts, MTA pipes (Postfix, Exim), Cloudflare Email Workers, and tests. Envelope: ``X-Envelope-To``
headers, or ``to`` in the query; ``X-Envelope-Remote-IP`` and ``X-Envelope-TLS`` (on, true or 1) where known.
``X-Envelope-From`` (or ``from``) may be there; the message shape has no place for it. Proof: the shared
secret, or a Standard Webhooks signature. A post with the ``Webhook-Id`` of an earlier one, or without one the very
bytes of an earlier one, is that one tried again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from starlette.datastructures import Headers

from relay import mime
from relay.address import out_of_query
from relay.errors import BadRequest, NotAMail, UnsupportedMediaType
from relay.inbound.proof.signature import is_standard, verify_shared_secret, verify_standard, verify_standard_head
from relay.inbound.webhook.provider import (
    ANSWERS,
    Answers,
    Delivery,
    Post,
    WebhookProvider,
    event_of_body,
)
from relay.mime import Parts

# A provider that gives its posts names may go on for days, as Svix (28 hours) and Stripe (3 days) do. One that does not
# is a script or a pipe that tries again soon; and who tests may well mean the same bytes anew, a little later.
_NAMED_RETRY_SECONDS = 3 * 24 * 3600
_UNNAMED_RETRY_SECONDS = 600
_CANNOT_BE_A_MAIL = ("application/json", "multipart/form-data")  # what people post to the wrong provider's URL
_MBOX_LINE = re.compile(rb"From [ \t]*+[^ \t:]")  # "From :" is a field, RFC 5322 section 4.5.1
_QUOTING = re.compile(r'\\.|[",]')
# Where a receiving server notes the envelope recipient in the mail itself, in order of trust.
_RECIPIENT_HEADERS = ("delivered-to", "x-original-to", "x-forwarded-to")


@dataclass(frozen=True, slots=True)
class Raw(WebhookProvider):
    """The provider ``raw``."""

    name: str = "raw"
    answers: Answers = ANSWERS
    body_factor: ClassVar[int] = 1  # the body is the mail

    def proof_in_head(self, headers: Headers) -> bool:
        """A signature is over the body; the shared secret is beside it."""
        return not is_standard(headers)

    def verify(self, post: Post) -> None:
        """Raises NotProven."""
        if is_standard(post.headers):
            verify_standard(post, self.secrets, now=post.received)
        else:
            verify_shared_secret(post, self.secrets)

    def unproven_limit(self, head: Post, max_message_bytes: int) -> int:
        """Raises NotProven: the head lacks a part of the signature."""
        verify_standard_head(head, now=head.received)
        return self.body_limit(max_message_bytes)

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail. Raises BadRequest or UnsupportedMediaType."""
        media_type = post.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type in _CANNOT_BE_A_MAIL:
            raise UnsupportedMediaType(
                f"the body must be the mail itself (Content-Type: message/rfc822), not {media_type}"
            )
        raw = _without_mbox_line(post.body)
        if raw.startswith(
            b"{"
        ):  # RFC 5322 lets a field name begin so, but no mail does: curl -d sent it as a form
            raise NotAMail(
                "the body looks like JSON; it must be the mail itself; Mailsac's JSON: /inbound/mailsac"
            )
        parts = mime.parse(raw)
        name = _event_name(post)
        return [
            Delivery(
                recipients=_envelope_recipients(post) or (_recipient_in(parts),),
                raw=raw,
                parts=parts,
                received=post.received,
                ip=post.headers.get("x-envelope-remote-ip", "").strip(),
                rtls=post.headers.get("x-envelope-tls", "").strip().lower() in ("on", "true", "yes", "1"),
                event=name or event_of_body(post.body),
                retry_seconds=_NAMED_RETRY_SECONDS if name else _UNNAMED_RETRY_SECONDS,
            )
        ]


def _event_name(post: Post) -> str:
    """Standard Webhooks: the same for each attempt at the same event; "" when there is none."""
    given = post.headers.get("webhook-id", "") or post.headers.get("svix-id", "")
    return f"id:{given}" if given else ""


def _without_mbox_line(body: bytes) -> bytes:
    """An mbox "From " line stands before the message, it is no part of it (RFC 4155)."""
    return body.partition(b"\n")[2] if _MBOX_LINE.match(body) else body


def _envelope_recipients(post: Post) -> tuple[str, ...]:
    # ASGI decodes header bytes as latin-1; addresses are UTF-8 (RFC 6532).
    lines = [
        value.encode("latin-1", "replace").decode("utf-8", "replace")
        for value in post.headers.getlist("x-envelope-to")
    ]
    given = [part for line in lines for part in _split(line)] or [
        out_of_query(part) for line in post.query.getlist("to") for part in _split(line)
    ]
    found = (part.strip().removeprefix("<").removesuffix(">") for part in given)
    return tuple(recipient for recipient in found if recipient)


def _split(line: str) -> list[str]:
    """The line cut at its commas; those inside a quoted local part (RFC 5321 section 4.1.2) are its own."""
    return list(_split_quoted(line)) if '"' in line or "\\" in line else line.split(",")


def _split_quoted(line: str) -> Iterator[str]:
    start, quoted = 0, False
    for token in _QUOTING.finditer(line):
        if token[0] == '"':
            quoted = not quoted
        elif token[0] == "," and not quoted:
            yield line[start : token.start()]
            start = token.end()
    yield line[start:]


def _recipient_in(parts: Parts) -> str:
    """The recipient that the mail itself names, when it names exactly one."""
    headers: dict[str, str] = {}
    for name, value in parts.headers:
        headers.setdefault(name, value)  # the top-most is the last server's
    for name in _RECIPIENT_HEADERS:
        if recipient := headers.get(name, "").strip().removeprefix("<").removesuffix(">"):
            return recipient
    if len(parts.to) == 1 and not parts.cc and not parts.bcc:
        return parts.to[0].address
    raise BadRequest(
        "no recipient: name the envelope recipient in an X-Envelope-To header or in ?to=; it is taken from the"
        " mail only when Delivered-To, X-Original-To or a single To names it",
        member="X-Envelope-To",
    )
