"""``POST /inbound/postal``: HTTP endpoints of Postal (self-hosted), formats raw and hash, as JSON or form.

Source: ``app/senders/http_sender.rb`` and the signing code of Postal (2026). Confirmed there: one post for each
recipient; ``message`` is base64 of the mail; 2xx takes it, 5xx and a time-out (5 s) are tried again, 18 times within
31 hours, 429 loses the mail in silence, anything else bounces it; the body is signed with the installation's key, RSA
PKCS#1 v1.5 with SHA-1 in ``X-Postal-Signature``, and with SHA-256 in ``X-Postal-Signature-256`` on newer ones.

A secret is the public key, as the ``p=`` of the installation's default DKIM record has it (base64 of a DER
SubjectPublicKeyInfo; PEM is taken too), or a shared secret of one's own. What looks like a key is never a shared
secret: everybody can read it in the DNS.

Unconfirmed, and chosen so that no mail is lost:

- Postal's page says that 5xx fails at once; the source says it is tried again. A wrong secret is 503 for that reason.
- ``id`` counts within one mail server of an installation, which the post does not name: the mail's bytes (or its
  random ``token``) are part of the event.
- Spam headers count only above the top-most Received, where the author of a mail cannot have put them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any, ClassVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key
from starlette.datastructures import Headers

from relay import mime
from relay.errors import BadRequest, ConfigError
from relay.inbound.proof.signature import verify_shared_secret
from relay.inbound.webhook.form import parse_form
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    NotProven,
    Post,
    WebhookProvider,
    WrongWebhook,
    event_of_body,
)
from relay.inbound.webhook.rebuild import Attachment, rebuilt_mail
from relay.inbound.webhook.received import hop
from relay.inbound.webhook.values import (
    base64_bytes,
    media_type,
    moment,
    objects,
    posted_object,
    spam_of_score,
    text,
    truth,
    whole_text,
)
from relay.mime import Parts

_RETRY_SECONDS = 36 * 3600  # 5 minutes, each wait 1.3 times the one before, 18 times: 31 hours
_ANSWERS = Answers(not_proven=503)
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_SIGNATURES: tuple[tuple[str, HashAlgorithm], ...] = (
    ("x-postal-signature-256", SHA256()),
    ("x-postal-signature", SHA1()),  # noqa: S303  # older servers have no other
)
_ARMOUR = re.compile(r"-----(?:BEGIN|END)[A-Z ]*-----|\s+")
_FILE = re.compile(r"attachments\[(\d{1,4})\]\[(\w+)\]")


@dataclass(frozen=True, slots=True)
class Postal(WebhookProvider):
    """The provider ``postal``."""

    name: str = "postal"
    answers: Answers = _ANSWERS
    # Base64 in a form, where "+", "/" and line ends take three bytes each; or text and HTML beside files.
    body_factor: ClassVar[int] = 6

    def __post_init__(self) -> None:
        """Raises ConfigError: a key that cannot be read would refuse every mail."""
        if any(_is_key(secret) and _key(secret) is None for secret in self.secrets):
            raise ConfigError(
                [
                    "RELAY_POSTAL_SECRET: a public key in it cannot be read; it is the p= of Postal's DKIM record (RSA)"
                ]
            )

    def proof_in_head(self, headers: Headers) -> bool:
        """A signature is over the body; the shared secret is beside it."""
        return not any(map(_is_key, self.secrets)) or not any(name in headers for name, _ in _SIGNATURES)

    def verify(self, post: Post) -> None:
        """A good signature, or the shared secret: Postal signs every post, also for who has not given us the key.

        Raises NotProven.
        """
        if any([_signed_by(secret, post) for secret in self.secrets if _is_key(secret)]):  # noqa: C419
            return
        shared = [secret for secret in self.secrets if not _is_key(secret)]
        if not shared:
            raise NotProven("X-Postal-Signature-256 and X-Postal-Signature do not match any key of this provider")
        verify_shared_secret(post, shared)

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail for one recipient. Raises BadRequest or UnsupportedMediaType."""
        event = _event(post)
        recipient = text(event, "rcpt_to")
        if not recipient:
            raise _misdirected(event)
        given = _given(event)
        raw = given or _rebuilt(event)
        parts = mime.parse(raw)
        origin = hop(parts.headers, "")
        return [
            Delivery(
                recipients=(recipient,),
                raw=raw,
                parts=parts,
                received=moment(event.get("timestamp")) or post.received,
                ip=origin.ip,
                via=origin.via or self.name,
                rtls=origin.rtls or truth(event.get("received_with_ssl")),
                spam=_spam(text(event, "spam_status"), _own(parts) if given else {}),
                raw_synthesized=not given,
                event=_name(event, given) or event_of_body(post.body),
                retry_seconds=_RETRY_SECONDS,
            )
        ]


def _is_key(secret: str) -> bool:
    """Whether it can only be meant as a public key: DER in base64 begins so, from 1024 bits on."""
    return secret.lstrip().startswith(("-----BEGIN", "MIG", "MII", "p="))


@lru_cache(maxsize=64)
def _key(secret: str) -> RSAPublicKey | None:
    encoded = _ARMOUR.sub("", secret).removeprefix("p=").rstrip(";")
    with suppress(ValueError, UnsupportedAlgorithm):
        key = load_der_public_key(base64.b64decode(encoded, validate=True))
        return key if isinstance(key, RSAPublicKey) else None
    return None


def _signed_by(secret: str, post: Post) -> bool:
    """The best signature that is there must be good: a bad new one is not saved by a good old one."""
    key = _key(secret)
    for name, algorithm in _SIGNATURES:
        if key is not None and name in post.headers:
            with suppress(InvalidSignature, ValueError):
                given = base64.b64decode(post.headers[name].strip(), validate=True)
                key.verify(given, post.body, PKCS1v15(), algorithm)
                return True
            return False
    return False


def _event(post: Post) -> dict[str, Any]:
    if media_type(post) not in _FORMS:
        return posted_object(post, "Postal's HTTP endpoint")
    event: dict[str, Any] = {}
    files: dict[str, dict[str, str]] = {}
    for one in parse_form(post.headers.get("content-type", ""), post.body).fields:
        value = one.value.decode("utf-8", "replace")
        if place := _FILE.fullmatch(one.name):
            files.setdefault(place[1], {})[place[2]] = value
        else:
            event[one.name] = value
    return {**event, "attachments": list(files.values())}


def _misdirected(event: Mapping[str, Any]) -> BadRequest:
    if "event" in event or "status" in event:
        return WrongWebhook(
            "this is a delivery event of Postal: point an HTTP endpoint (with a route) here, not a webhook",
            member="event",
        )
    return BadRequest("rcpt_to is missing: it names the recipient", member="rcpt_to")


def _given(event: Mapping[str, Any]) -> bytes:
    """The mail of the raw format; b"" in the hash format."""
    message = whole_text(event, "message")
    if not message or not truth(event.get("base64", True)):
        return message.encode()
    raw = base64_bytes(message)
    if raw is None:
        raise BadRequest("message is not base64", member="message")
    return raw


def _name(event: Mapping[str, Any], given: bytes) -> str:
    number = event.get("id")
    distinct = hashlib.sha256(given).hexdigest() if given else text(event, "token")
    return f"id:{number} {distinct}" if distinct and isinstance(number, int | str) else ""


def _own(parts: Parts) -> dict[str, str]:
    """The fields that the server wrote on top of the mail: its checks, then Received. All below is the author's."""
    above = list(takewhile(lambda pair: pair[0] != "received", parts.headers))
    return dict(reversed(above)) if len(above) < len(parts.headers) else {}


def _spam(status: str, own: Mapping[str, str]) -> float | None:
    score = spam_of_score(own.get("x-postal-spam-score"))
    if score is not None:
        return score
    verdict = status or own.get("x-postal-spam", "")
    return {"spam": 1.0, "yes": 1.0, "notspam": 0.0, "no": 0.0}.get(verdict.strip().lower())


def _rebuilt(event: Mapping[str, Any]) -> bytes:
    named = ("from", "to", "cc", "reply_to", "date", "message_id", "in_reply_to", "references", "auto_submitted")
    headers = [[name.replace("_", "-"), _header(name, event.get(name))] for name in named]
    plain, html = whole_text(event, "plain_body"), whole_text(event, "html_body")
    if not (plain or html or any(value for _, value in headers)):
        raise BadRequest("there is no mail in the post: choose the format raw for the HTTP endpoint")
    # Postal cuts what it takes for quoted text off the plain body, where the endpoint is set to strip replies.
    cut = whole_text(event, "replies_from_plain_body")
    files = [
        Attachment(
            content=base64_bytes(whole_text(one, "data")) or b"",
            filename=text(one, "filename"),
            content_type=text(one, "content_type"),
        )
        for one in objects(event.get("attachments"))
    ]
    shape = {
        "headers": [pair for pair in headers if pair[1]],
        "subject": text(event, "subject"),
        "text": f"{plain}\n{cut}" if cut else plain,
        "html": html,
    }
    return rebuilt_mail(shape, files)


def _header(name: str, value: object) -> str:
    found = value[-1] if isinstance(value, list) and value else value  # reply_to comes as a list
    if not isinstance(found, str):
        return ""
    bare = name in ("message_id", "in_reply_to") and found and not found.startswith("<")
    return f"<{found}>" if bare else found
