"""The doors in, one path for each provider of relay/inbound/providers/__init__.py. A new one is a row of ``_DOORS``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from relay.reference.schemas import ref, text
from relay.reference.vocabulary import Answer, Body, Example, Noun, Operation, Parameter, Schema

SECRET = "YOUR_SECRET"  # noqa: S105  # stands in examples
MAIL_FILE = "mail.eml"

_JSON = ("application/json",)
_FORM = ("application/x-www-form-urlencoded",)
_PARTS = ("multipart/form-data",)
_MAIL = ("message/rfc822",)
_SIGNATURE = "the provider's signature"
_SHARED = "a shared secret as Basic password or `?token=`"
_EITHER = f"{_SIGNATURE}, or {_SHARED}"
_TOKEN = Parameter("token", "query", "the shared secret, where it can stand in no better place", text())
_REPORT = Answer(
    "Redis has what is accepted; what nobody could read is parked, where the provider would lose it otherwise",
    ref("Report"),
)


@dataclass(frozen=True, slots=True)
class _Door:
    """One provider: path, setting and page are named after ``name``."""

    name: str
    title: str
    posts: str
    proof: str
    media_types: Sequence[str] = _JSON
    # For: no proof; unreadable (200 = it is parked); too large; come again.
    statuses: tuple[int, int, int, int] = (401, 400, 413, 503)
    parameters: Sequence[Parameter] = ()
    examples: Sequence[Example] = ()

    def operation(self) -> Operation:
        """Its POST."""
        return Operation(
            "POST",
            f"/inbound/{self.name}",
            f"receive_{self.name}",
            self.title,
            f"{self.posts}; `docs/providers/{self.name}.md` says how to set it up. Proof: {self.proof}; the setting is "
            f"`RELAY_{self.name.upper()}_SECRET`. To try it: `relay send {MAIL_FILE} --as {self.name}`.",
            (_REPORT, *self._refusals()),
            (*(() if self.proof is _SIGNATURE else (_TOKEN,)), *self.parameters),
            Body(_schema(self.media_types), "as the provider posts it", media_types=self.media_types),
            key=False,
            examples=self.examples,
        )

    def _refusals(self) -> Iterator[Answer]:
        """An answer for each status: two that this provider must be told the same way are one."""
        says = ("no proof", "no mail, or no recipient", "too large", "ours, for now: send it again")
        reasons: dict[int, list[str]] = {}
        for status, reason in zip(self.statuses, says, strict=True):
            if status != 200:
                reasons.setdefault(status, []).append(reason)
        if self.statuses[1] == 400:
            reasons.setdefault(415, []).append("a Content-Type that this path cannot mean")
        for status, texts in sorted(reasons.items()):
            yield Answer("; ".join(texts), ref("Error"), status)


def _schema(media_types: Sequence[str]) -> Schema:
    return (
        text("the mail itself")
        if media_types == _MAIL
        else {"type": "object", "description": "the provider's own"}
    )


_BEARER = (("Authorization", f"Bearer {SECRET}"),)
_RAW_EXAMPLES = (
    Example(
        "recipient_in_query",
        "/inbound/raw?to=user1@mailsac.com",
        file=MAIL_FILE,
        headers=(*_BEARER, ("Content-Type", "message/rfc822")),
        key=False,
    ),
    Example(
        "some_rejected",
        "/inbound/raw",
        "Recipients that nobody may have are told, and change nothing for the others",
        file=MAIL_FILE,
        headers=(
            *_BEARER,
            ("Content-Type", "message/rfc822"),
            ("Webhook-Id", "the-name-of-this-post"),
            ("X-Envelope-To", "user1@mailsac.com, nobody@mailsac.com"),
        ),
        key=False,
    ),
    Example(
        "wrong_secret",
        "/inbound/raw?to=user1@mailsac.com",
        "A wrong secret",
        file=MAIL_FILE,
        headers=(("Authorization", "Bearer a-guess"), ("Content-Type", "message/rfc822")),
        key=False,
    ),
)
_RAW_PARAMETERS = (
    Parameter("to", "query", "recipients (RFC 5321 RCPT TO), comma list", text()),
    Parameter("X-Envelope-To", "header", "the same, better: URLs end up in logs", text()),
    Parameter("X-Envelope-Remote-IP", "header", "the SMTP client, for `ip`", text()),
    Parameter("X-Envelope-TLS", "header", "`on` when it came over TLS, for `rtls`", text()),
    Parameter(
        "Webhook-Id",
        "header",
        "a name for this post: within 3 days the same name is the same mail",
        text(),
    ),
)

_DOORS = (
    _Door(
        "raw",
        "Any mail, as it is",
        "The mail itself as body: for scripts, MTA pipes, Cloudflare Email Workers",
        "a shared secret as Bearer token, Basic password or `?token=`, or a Standard Webhooks signature",
        _MAIL,
        parameters=_RAW_PARAMETERS,
        examples=_RAW_EXAMPLES,
    ),
    _Door("ahasend", "AhaSend", "An inbound route of AhaSend", _SIGNATURE, statuses=(401, 200, 413, 503)),
    _Door(
        "brevo",
        "Brevo",
        "Brevo's inbound parsing, in batches; files are fetched from its API with `RELAY_BREVO_API_KEY`",
        _SHARED,
        statuses=(401, 200, 413, 503),
    ),
    _Door(
        "cloudmailin",
        "CloudMailin",
        "CloudMailin's JSON normalized, multipart normalized or raw format",
        _SHARED,
        (*_JSON, *_PARTS),
        (503, 400, 413, 503),
    ),
    _Door(
        "forwardemail",
        "Forward Email",
        "Forward Email's webhook, with or without its raw and attachments",
        _EITHER,
        statuses=(408, 400, 400, 408),
    ),
    _Door("improvmx", "ImprovMX", "A webhook of an alias or a rule", _SHARED, statuses=(401, 200, 413, 503)),
    _Door("mailersend", "MailerSend", "An inbound route of MailerSend", _SIGNATURE, statuses=(503, 200, 413, 503)),
    _Door(
        "mailgun",
        "Mailgun",
        "What a Mailgun route forwards, parsed or as MIME, or stores: then the mail is fetched with "
        "`RELAY_MAILGUN_API_KEY`",
        _SIGNATURE,
        (*_FORM, *_PARTS),
        (401, 200, 406, 503),
    ),
    _Door("mailjet", "Mailjet", "Mailjet's Parse API", _SHARED, statuses=(401, 200, 413, 503)),
    _Door(
        "mailsac",
        "Mailsac",
        "Mailsac's webhook JSON, or a frame of its WebSocket or another relay's",
        _SHARED,
        statuses=(401, 200, 413, 503),
    ),
    _Door(
        "mandrill", "Mandrill", "Mandrill's inbound webhooks, in batches", _SIGNATURE, _FORM, (401, 200, 413, 503)
    ),
    _Door(
        "postal",
        "Postal",
        "Postal's HTTP endpoint, raw or hash, JSON or form",
        _EITHER,
        (*_JSON, *_FORM),
        (503, 400, 413, 503),
    ),
    _Door(
        "postmark",
        "Postmark",
        "Postmark's inbound webhook, with or without its raw content",
        _SHARED,
        statuses=(401, 403, 403, 503),
    ),
    _Door(
        "resend",
        "Resend",
        "Resend's `email.received`; the mail is fetched from its API with `RELAY_RESEND_API_KEY`",
        _SIGNATURE,
        statuses=(401, 200, 413, 503),
    ),
    _Door(
        "sendgrid",
        "SendGrid",
        "SendGrid's Inbound Parse, parsed or raw",
        f"{_EITHER}, or a token of its OAuth server",
        _PARTS,
        (503, 200, 413, 503),
    ),
    _Door(
        "ses",
        "Amazon SES",
        "Mail received by Amazon SES, through an SNS topic",
        _EITHER,
        (*_JSON, "text/plain"),
        (401, 200, 413, 503),
    ),
    _Door(
        "sparkpost",
        "SparkPost",
        "SparkPost's relay webhooks, in batches",
        f"its `auth_token`, or {_SHARED}",
        statuses=(401, 200, 413, 503),
    ),
)

NOUN = Noun(
    "providers",
    "Send mail in",
    "Webhooks of mail providers, and the mail itself from a script. A path exists only while its secret is set; each "
    "also answers HEAD, for providers that look whether the URL is there. The statuses are those that have the meant "
    "effect at each provider: to stop, to bounce or to try again.",
    tuple(door.operation() for door in _DOORS),
)
