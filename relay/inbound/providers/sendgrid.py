"""``POST /inbound/sendgrid``: SendGrid's (Twilio's) Inbound Parse: parsed fields, or the raw mail as ``email``.

Sources: Twilio's pages (Inbound Email Parse Webhook, Securing your Inbound Parse Webhooks), django-anymail's and other
captured posts. Confirmed: the fields of both modes; that ``charsets`` names the charset of each; 2xx is taken, 5xx is
tried again for 3 days and then dropped without notice, other statuses are not tried again (an older page differs).

Proof: the signature of a security policy, ECDSA with SHA-256 over timestamp and body, when the secret is its public key
(``MFkw…`` as SendGrid shows it, or in PEM); else the shared secret, in the URL as Basic password or ``?token=``. With
an OAuth policy SendGrid gets a token from the customer's own server and brings it as Bearer: a JSON Web Token is
proven by that server's keys (:mod:`relay.inbound.proof.oauth`), a fixed one can be the secret. What is set up will do.

Unconfirmed: whether a retry is signed anew, or brings a newer token. So a timestamp may be as old as the last retry; a
token that has expired is 503, as all that is not proven. The mail's own bytes name the event (SendGrid has no name for
it), and who repeats it within that time delivers nothing.

Answers: what is not proven is 503, because 401 would lose the mail while a wrong secret stands, and 503 brings it again
for 3 days. What cannot be read is taken and parked.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from starlette.datastructures import Headers

from relay import mime
from relay.errors import BadRequest
from relay.inbound.proof import oauth
from relay.inbound.proof.signature import bearer_token, verify_shared_secret
from relay.inbound.webhook.form import Field, Form, parse_form
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
    media_type,
    spam_of_score,
    text,
    texts,
)
from relay.mime import charset
from relay.mime.headers import decode_words, split
from relay.mime.headers import texts as header_texts

_ANSWERS = Answers(not_proven=503, unreadable=200)
_MAX_AGE_SECONDS = 3 * 24 * 3600 + 3600  # the last retry, and an hour
_MAX_FUTURE_SECONDS = 300  # their clock and ours
_RETRY_SECONDS = _MAX_AGE_SECONDS + 3600  # longer than a signature is accepted
_TIMESTAMP = re.compile(r"[0-9]{1,15}")
_SIGNATURE = "x-twilio-email-event-webhook-signature"
_SIGNED_AT = "x-twilio-email-event-webhook-timestamp"
# How every P-256 public key begins in base64 (RFC 5480), and PEM: what anybody may know is never a shared secret.
_PUBLIC_KEYS = ("MFkw", "-----BEGIN")
_ARMOUR = re.compile(r"-----[A-Z ]{1,40}-----|\s")
_TRACKING = (
    "this is SendGrid's event webhook: set this URL in Settings > Inbound Parse, and the event webhook elsewhere"
)


def _no_keys(_url: str, _within_seconds: float) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True)
class SendGrid(WebhookProvider):
    """The provider ``sendgrid``. ``key_sets`` reaches the token server, for whoever owns a DocumentCache."""

    name: str = "sendgrid"
    answers: Answers = _ANSWERS
    # The mail, and its headers again as fields; text in them may have grown to UTF-8.
    body_factor: ClassVar[int] = 2
    tokens: oauth.TokenServer | None = None
    key_sets: oauth.KeySets = _no_keys

    def proof_in_head(self, headers: Headers) -> bool:
        """A signature is over the body; the shared secret and a token are beside it."""
        return _SIGNATURE not in headers or not self._public_keys

    def verify(self, post: Post) -> None:
        """Any proof that is set up will do. Raises NotProven, or oauth.KeysNotReady: for now, 503."""
        *others, last = self._proofs(post)
        for proof in others:
            with suppress(NotProven):
                return proof()
        return last()

    def unproven_limit(self, head: Post, max_message_bytes: int) -> int:
        """Raises NotProven: neither a body nor a secret beside it could prove the post."""
        try:
            _signature_head(head)
        except NotProven:
            self.verify(head)  # what else may prove it stands in the head
        return self.body_limit(max_message_bytes)

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail. Raises BadRequest or UnsupportedMediaType."""
        if media_type(post) == "application/json":
            raise WrongWebhook(_TRACKING)
        form = parse_form(post.headers.get("content-type", ""), post.body)
        recipients = _recipients(form)
        given = form.last("email") or b""
        raw = given or _rebuilt(form)
        parts = mime.parse(raw)
        ip, last = form.text("sender_ip"), hop(parts.headers, "sendgrid.net")
        return [
            Delivery(
                recipients=recipients,
                raw=raw,
                parts=parts,
                received=post.received,
                ip=ip or last.ip,
                via=last.via,
                rtls=last.rtls,
                spam=spam_of_score(form.text("spam_score")),
                raw_synthesized=not given,
                event=event_of_body(raw),
                retry_seconds=_RETRY_SECONDS,
            )
        ]

    def _proofs(self, post: Post) -> Iterator[Callable[[], None]]:
        """At least one; the last says what is missing."""
        public_keys, token = self._public_keys, bearer_token(post)
        shared = [secret for secret in self.secrets if secret not in public_keys]
        if public_keys and (_SIGNATURE in post.headers or not (shared or (self.tokens and token))):
            yield partial(_verify_signature, post, public_keys)
        if shared or not (public_keys or self.tokens):
            yield partial(verify_shared_secret, post, shared)
        if self.tokens and (token or not (public_keys or shared)):
            yield partial(oauth.verify_token, token, self.tokens, self.key_sets, now=post.received)

    @property
    def _public_keys(self) -> Sequence[str]:
        return [secret for secret in self.secrets if secret.startswith(_PUBLIC_KEYS)]


def _verify_signature(post: Post, public_keys: Sequence[str]) -> None:
    timestamp = _signature_head(post)
    digest = hashlib.sha256(timestamp.encode())
    digest.update(post.body)
    signature = post.headers.get(_SIGNATURE, "")
    if not any(_signed_by(key, signature, digest.digest()) for key in public_keys):
        raise NotProven("SendGrid's signature does not match: the secret is the public key of the security policy")


def _signature_head(post: Post) -> str:
    """The timestamp that is signed. Raises NotProven: there is none, or it is too old."""
    timestamp = post.headers.get(_SIGNED_AT, "")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise NotProven(f"{_SIGNATURE} is missing, or {_SIGNED_AT}, in Unix seconds: the secret is a public key")
    age_seconds = int(post.received.timestamp()) - int(timestamp)
    if not -_MAX_FUTURE_SECONDS <= age_seconds <= _MAX_AGE_SECONDS:
        raise NotProven(f"{_SIGNED_AT} is more than {_MAX_AGE_SECONDS // 3600} hours old, or in the future")
    return timestamp


def _signed_by(public_key: str, signature: str, digest: bytes) -> bool:
    # Public keys and signatures are no secrets: nothing here needs constant time.
    try:
        key = load_der_public_key(base64.b64decode(_ARMOUR.sub("", public_key), validate=True))
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(base64.b64decode(signature, validate=True), digest, ec.ECDSA(Prehashed(SHA256())))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _recipients(form: Form) -> tuple[str, ...]:
    """The envelope's, nearly always one. Some have seen a text where the list is documented."""
    envelope = form.json("envelope")
    found = texts(envelope.get("to")) if isinstance(envelope, dict) else []
    if not found:
        raise BadRequest(
            "envelope names no recipient: this is no post of SendGrid's Inbound Parse", member="envelope"
        )
    return tuple(found)


def _rebuilt(form: Form) -> bytes:
    charsets = form.json("charsets")
    event: dict[str, Any] = {
        name: charset.decode(form.last(name) or b"", text(charsets, name) if isinstance(charsets, dict) else "")
        for name in ("text", "html", "subject")
    }
    block = (form.last("headers") or b"").strip() + b"\n\n"
    headers = header_texts(split(block, 0, len(block)))
    event["headers"] = headers or [("To", form.text("to")), ("From", form.text("from"))]
    return rebuilt_mail(event, _attachments(form, event["html"]))


def _attachments(form: Form, html: str) -> Sequence[Attachment]:
    """In the order of ``attachment-info``, which is that of the mail."""
    given = form.json("attachment-info")
    known: Mapping[str, Any] = given if isinstance(given, dict) else {}
    order = {name: place for place, name in enumerate(known)}
    files = [one for one in form.fields if one.filename is not None]
    files.sort(key=lambda one: order.get(one.name, len(order)))
    return [_attachment(one, known.get(one.name), html) for one in files]


def _attachment(one: Field, known: object, html: str) -> Attachment:
    known = known if isinstance(known, dict) else {}
    filename = decode_words(text(known, "filename") or text(known, "name") or one.filename or "")
    content_id = text(known, "content-id")
    shown = bool(content_id) and f"cid:{content_id.strip('<>')}" in html
    return Attachment(one.value, filename, one.content_type or text(known, "type"), content_id, inline=shown)
