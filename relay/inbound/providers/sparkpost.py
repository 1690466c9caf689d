"""``POST /inbound/sparkpost``: SparkPost's (Bird's) relay webhooks: a JSON array of mails, each with its raw bytes.

Sources: SparkPost's and Bird's API reference (Relay Webhooks), django-anymail's captured posts. Confirmed: the shape;
the ping ``[{"msys": {}}]``; that ``email_rfc822_is_base64`` is true for mail with bytes that are no UTF-8; that the
``auth_token`` of the webhook comes as ``X-MessageSystems-Webhook-Token``. Nothing is signed, and no event
has a name or a time: the mail's own bytes name it.

An ``auth_type`` of oauth2 brings the token of the customer's own token server, which would have to be asked: only a
fixed one can be proven, as Bearer.

Unconfirmed: how long, and after which answers, SparkPost tries again; taken as any answer but 2xx, for as long as any
provider goes on. So what cannot be read is taken and parked. Whether the top-most Received field is SparkPost's is
not known either: no ip is taken from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from relay import mime
from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.proof.shared_secret import SharedSecretProvider
from relay.inbound.proof.signature import any_same, verify_shared_secret
from relay.inbound.webhook.batch import read_each
from relay.inbound.webhook.provider import (
    Answers,
    Delivery,
    Post,
    Unreadable,
    WrongWebhook,
    event_of_body,
)
from relay.inbound.webhook.rebuild import rebuilt_mail
from relay.inbound.webhook.values import (
    base64_bytes,
    json_array,
    media_type,
    member,
    objects,
    text,
    texts,
    whole_text,
)

_ANSWERS = Answers(unreadable=200)
_RETRY_SECONDS = 3 * 24 * 3600  # not documented; as long as any provider is known to go on
_TOKEN_HEADER = "x-messagesystems-webhook-token"  # noqa: S105
_NOT_JSON = ("message/rfc822", "multipart/form-data", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class SparkPost(SharedSecretProvider):
    """The provider ``sparkpost``."""

    name: str = "sparkpost"
    answers: Answers = _ANSWERS
    # The mail, and its text, HTML and headers again, each with JSON escapes; and several mails in a batch.
    body_factor: ClassVar[int] = 4

    def verify(self, post: Post) -> None:
        """Raises NotProven."""
        tokens = [token.encode("latin-1", "replace") for token in post.headers.getlist(_TOKEN_HEADER)]
        if not any_same(tokens, self.secrets):
            verify_shared_secret(post, self.secrets)

    def parse(self, post: Post) -> Sequence[Delivery | Unreadable]:
        """The mails. Raises BadRequest or UnsupportedMediaType."""
        if (kind := media_type(post)) in _NOT_JSON:
            raise UnsupportedMediaType(f"the body must be SparkPost's JSON, not {kind}")

        def read(event: Any) -> Delivery | None:
            return _delivery(event, post)

        return read_each(json_array(post.body), read, post)


def _delivery(event: Any, post: Post) -> Delivery | None:
    """None for a ping. Raises BadRequest."""
    msys = event.get("msys") if isinstance(event, dict) else None
    if not isinstance(msys, dict):
        raise BadRequest("the event is none of SparkPost's: it has no msys", member="msys")
    if not msys:
        return None
    message = msys.get("relay_message")
    if not isinstance(message, dict):
        raise WrongWebhook(
            f"this is an event of SparkPost ({next(iter(msys))[:40]}), no mail: make a relay webhook for this URL, and"
            " point the event webhook elsewhere"
        )
    recipient = text(message, "rcpt_to")
    if not recipient:
        raise BadRequest("rcpt_to is missing: it names the recipient", member="rcpt_to")
    content = member(message, "content")
    given = _raw(content)
    raw = given or rebuilt_mail(_described(content, message))
    return Delivery(
        recipients=(recipient,),
        raw=raw,
        parts=mime.parse(raw),
        received=post.received,
        raw_synthesized=not given,
        event=event_of_body(raw),
        retry_seconds=_RETRY_SECONDS,
    )


def _raw(content: Mapping[str, Any]) -> bytes:
    """The original bytes; b"" when there are none."""
    given = whole_text(content, "email_rfc822")
    if content.get("email_rfc822_is_base64") is not True:
        return given.encode("utf-8", "replace")
    raw = base64_bytes(given)
    if raw is None:
        raise BadRequest("email_rfc822 is not base64, although it says so", member="email_rfc822")
    return raw


def _described(content: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, Any]:
    """For a mail without its bytes, which is not documented to come: what else is said about it."""
    pairs = [pair for one in objects(content.get("headers")) for pair in one.items()]
    return {
        "headers": pairs,
        "from": [{"address": text(message, "friendly_from")}],
        "to": [{"address": one} for one in texts(content.get("to"))],
        "cc": [{"address": one} for one in texts(content.get("cc"))],
        **{name: content.get(name) for name in ("subject", "text", "html")},
    }
