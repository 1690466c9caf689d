"""``RELAY_*`` -> one frozen, typed :class:`Settings`; the only reader of the environment.

A wrong value, and a ``RELAY_`` name that is no setting, end the start with one message that names them all.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from relay import setting_files, work_bytes
from relay.errors import ConfigError
from relay.letters.retention import Retention
from relay.redis_url import EMBEDDED
from relay.setting_types import (
    ApiKey,
    Domains,
    HttpsUrl,
    HttpUrl,
    LocalParts,
    Networks,
    Port,
    RedisUrl,
    Secrets,
    Words,
)

PREFIX = "RELAY_"
# With the first five whoever has the mail can get a certificate for the domain (CA/Browser Forum Baseline Requirements
# 3.2.2.4.4); the others run it (RFC 2142, RFC 5321 section 4.5.1) or look like it.
RESERVED_NAMES = (
    *("admin", "administrator", "webmaster", "hostmaster", "postmaster"),
    *("abuse", "security", "noc", "root", "mailer-daemon"),
)
# Names of version 0.1, still read in 0.2, with a warning.
RENAMED = {"RELAY_FRAMES": "RELAY_DEFAULT_FRAMES", "RELAY_PROBE_SECONDS": "RELAY_REDIS_PROBE_SECONDS"}


class Settings(BaseModel):
    """All settings; the field ``name`` is the variable ``RELAY_NAME``. README.md has the same table."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on; 0.0.0.0 in a container")
    port: Port = Field(8000, description="TCP port of providers, sockets and REST; 0 picks a free one")
    internal_port: Port | None = Field(
        None, description="second TCP port for /livez, /readyz and /metrics alone; unset: they are on RELAY_PORT"
    )
    workers: int = Field(1, ge=1, le=256, description="processes that share the port; more than 1 needs a Redis")
    redis_url: RedisUrl = Field(
        SecretStr(EMBEDDED),
        description="URL of a Redis 6.2 or newer, of its Sentinels or its cluster (docs/redis.md has the forms); "
        "memory:// is inside the process",
    )
    redis_timeout_seconds: float = Field(
        5.0, gt=0, le=60, description="limit of every call to Redis; over it the provider is told 503"
    )
    redis_wait_replicas: int = Field(
        0, ge=0, le=100, description="replicas of Redis that must have a mail before its provider is told 200"
    )
    accounts_file: Path | None = Field(None, description="TOML file with accounts, loaded at start")
    domains: Domains = Field(
        (), description="comma list of shared domains on which any account may reserve addresses"
    )
    reserved_names: LocalParts = Field(
        RESERVED_NAMES,
        description="comma list of names before the @ that on shared domains only the accounts file gives away, "
        "with any +tag and dots: who has them could get a certificate for the domain, or runs it",
    )
    dns_servers: Words = Field(
        (), description="comma list of host[:port] asked for TXT proofs of domains; empty: the system's resolvers"
    )
    public_url: HttpUrl = Field(
        "",
        description="how clients reach this service: https://relay.example.com (in what providers and people are told)",
    )
    trusted_proxies: str = Field(
        "127.0.0.1,::1",
        description="comma list of proxies (address, network or *) whose X-Forwarded-For is believed",
    )
    metrics_networks: Networks = Field(
        (), description="networks, beside loopback, that may read /metrics and the reason in /readyz on RELAY_PORT"
    )
    max_message_bytes: int = Field(
        25 * 1024 * 1024, ge=1024, description="bytes of one mail as posted; over it the provider is told 413"
    )
    work_bytes: int = Field(
        256 * 1024 * 1024,
        ge=8192,
        description="bytes of all mail in work at once, and what is made of it; beyond it the provider is told 503",
    )
    socket_buffer_bytes: int = Field(
        1024 * 1024, ge=4096, description="bytes that may wait for one slow socket; over it: close 4408"
    )
    max_sockets_per_account: int = Field(
        1000, ge=1, description="open sockets of one account in one process; over it: close 4429"
    )
    max_addresses_per_socket: int = Field(
        128, ge=1, description="addresses and domains that one socket may listen to; over it: close 4400"
    )
    max_refusals_per_minute: int = Field(
        60, ge=1, description="wrong keys of one client address, at sockets and REST; over it: 429 instead of 401"
    )
    max_connections_per_client: int = Field(
        1024,
        ge=1,
        description="open connections of one client address in one process, trusted proxies excepted; over it: 429",
    )
    keepalive_seconds: float = Field(
        75,
        gt=0,
        le=3600,
        description="time that a connection without a request stays open; longer than the proxy in front keeps it",
    )
    request_seconds: float = Field(
        5,
        gt=0,
        le=3600,
        description="time for the head of a request, and for its body before it must keep 64 KiB/s",
    )
    ping_seconds: float = Field(
        25.0, ge=1, le=3600, description="time between pings to a socket; without an answer in 10 s it is closed"
    )
    redis_probe_seconds: float = Field(
        30.0,
        ge=1,
        le=300,
        description="time between proofs that the link to Redis is not deaf; then 5 s for the echo",
    )
    keep_messages: int = Field(1000, ge=1, description="messages kept per inbox for a listener that comes back")
    keep_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1024 * 1024,
        description="bytes of messages kept per inbox, as they are kept; the oldest make room",
    )
    account_bytes: int = Field(
        1024 * 1024 * 1024,
        ge=1024 * 1024,
        description="bytes of messages kept per account, starred ones included; the oldest of all its inboxes make "
        "room; the accounts file may set it for an account; not on a cluster",
    )
    keep_seconds: int = Field(7 * 24 * 3600, ge=60, description="time that a message is kept")
    starred_messages: int = Field(
        100, ge=0, le=1000, description="starred messages kept per inbox for as long as they are starred"
    )
    starred_bytes: int = Field(
        64 * 1024 * 1024,
        ge=0,
        description="bytes of them per inbox, as they are kept; over it a star is refused with 400",
    )
    replay_limit: int = Field(
        10_000, ge=1, description="messages replayed to one socket that resumes; told of the gap beyond"
    )
    drain_seconds: float = Field(
        20.0, ge=0, le=3600, description="time over which sockets are closed and posts finished after SIGTERM"
    )
    default_frames: Literal["message", "envelope"] = Field(
        "message", description="frame format of a socket that does not say: message or envelope"
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="json: one object a line; console: for people"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged: debug, info, warning or error"
    )
    raw_secret: Secrets = Field(
        (), description="secrets of POST /inbound/raw, comma list for rotation; unset: there is no such route"
    )
    ahasend_secret: Secrets = Field(
        (), description="secrets of POST /inbound/ahasend, comma list for rotation; unset: no such route"
    )
    brevo_secret: Secrets = Field(
        (), description="secrets of POST /inbound/brevo, comma list for rotation; unset: no such route"
    )
    brevo_api_key: ApiKey | None = Field(
        None, description="API key of Brevo, with which files are fetched; needed beside RELAY_BREVO_SECRET"
    )
    cloudmailin_secret: Secrets = Field(
        (), description="secrets of POST /inbound/cloudmailin, comma list for rotation; unset: no such route"
    )
    forwardemail_secret: Secrets = Field(
        (), description="secrets of POST /inbound/forwardemail, comma list for rotation; unset: no such route"
    )
    improvmx_secret: Secrets = Field(
        (), description="secrets of POST /inbound/improvmx, comma list for rotation; unset: no such route"
    )
    mailersend_secret: Secrets = Field(
        (), description="secrets of POST /inbound/mailersend, comma list for rotation; unset: no such route"
    )
    mailgun_secret: Secrets = Field(
        (),
        description="secrets of POST /inbound/mailgun (its HTTP webhook signing key), comma list; unset: no such route",
    )
    mailgun_api_key: ApiKey | None = Field(
        None,
        description="API key of Mailgun, with which stored mail is fetched; unset: notifications of store() are parked",
    )
    mailjet_secret: Secrets = Field(
        (), description="secrets of POST /inbound/mailjet, comma list for rotation; unset: no such route"
    )
    mailsac_secret: Secrets = Field(
        (), description="secrets of POST /inbound/mailsac, comma list for rotation; unset: no such route"
    )
    mandrill_secret: Secrets = Field(
        (),
        description="secrets of POST /inbound/mandrill, the keys of its webhooks, comma list; unset: no such route",
    )
    postal_secret: Secrets = Field(
        (),
        description="public keys or secrets of POST /inbound/postal, comma list for rotation; unset: no such route",
    )
    postmark_secret: Secrets = Field(
        (), description="secrets of POST /inbound/postmark, comma list for rotation; unset: no such route"
    )
    resend_secret: Secrets = Field(
        (),
        description="secrets of POST /inbound/resend, the signing secrets of its webhooks, comma list; "
        "unset: no such route",
    )
    resend_api_key: ApiKey | None = Field(
        None, description="API key of Resend, with which mail is fetched; needed beside RELAY_RESEND_SECRET"
    )
    sendgrid_secret: Secrets = Field(
        (),
        description="secrets of POST /inbound/sendgrid (a password in its URL, or the policy's public key), "
        "comma list; unset: no such route",
    )
    sendgrid_jwks_url: HttpsUrl = Field(
        "",
        description="https URL of the keys (JWKS) of the OAuth server whose tokens prove posts of SendGrid; "
        "unset: no tokens but those in RELAY_SENDGRID_SECRET",
    )
    sendgrid_oauth_issuer: str = Field("", description="iss of these tokens, to the letter")
    sendgrid_oauth_audience: str = Field("", description="aud of these tokens; unset: any, if there is a subject")
    sendgrid_oauth_subject: str = Field("", description="sub of these tokens; unset: any, if there is an audience")
    ses_secret: Secrets = Field(
        (),
        description="SNS topic ARNs or secrets of POST /inbound/ses, comma list for rotation; unset: no such route",
    )
    sparkpost_secret: Secrets = Field(
        (),
        description="secrets of POST /inbound/sparkpost, the auth_token of its relay webhook, comma list; "
        "unset: no such route",
    )

    @property
    def retention(self) -> Retention:
        """What an inbox keeps."""
        return Retention(self.keep_messages, self.keep_bytes, self.keep_seconds)

    @property
    def embedded(self) -> bool:
        """Whether Redis is inside this process, and its data ends with it."""
        return self.redis_url.get_secret_value() == EMBEDDED

    def provider_secrets(self) -> dict[str, tuple[str, ...]]:
        """The secrets of each provider that has any, by its name ("raw", "mailsac", …). SendGrid needs none when it
        brings tokens."""
        return {
            name.removesuffix("_secret"): tuple(secret.get_secret_value() for secret in getattr(self, name))
            for name in type(self).model_fields
            if name.endswith("_secret")
            and (getattr(self, name) or (name == "sendgrid_secret" and self.sendgrid_jwks_url))
        }

    def api_keys(self) -> dict[str, str]:
        """The API key of each provider that has one, by provider name ("brevo", …)."""
        return {
            name.removesuffix("_api_key"): getattr(self, name).get_secret_value()
            for name in type(self).model_fields
            if name.endswith("_api_key") and getattr(self, name)
        }


def load(environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """Settings from the environment (``os.environ`` when None), overridden by flags that are not None.

    Raises ConfigError with one line for each thing that is wrong.
    """
    environ = os.environ if environ is None else environ
    given = _under_new_names({name: value for name, value in environ.items() if name.startswith(PREFIX)})
    fields = {f"{PREFIX}{name.upper()}": name for name in Settings.model_fields}
    problems = setting_files.put(given, fields)
    problems += [_unknown(name, fields) for name in sorted(given) if name not in fields]
    values: dict[str, Any] = {fields[name]: value for name, value in given.items() if name in fields and value}
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**values)
    except ValidationError as exc:
        raise ConfigError([*problems, *_wrong(exc)]) from None
    problems += _contradictions(settings)
    if problems:
        raise ConfigError(problems)
    return settings


def renamed(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The old names that are set in the environment (``os.environ`` when None) -> the names to use instead."""
    environ = os.environ if environ is None else environ
    return {old: new for old, new in RENAMED.items() if environ.get(old)}


def _under_new_names(given: Mapping[str, str]) -> dict[str, str]:
    """Where both names are set, the new one wins."""
    known = {name: value for name, value in given.items() if name not in RENAMED}
    return known | {new: given[old] for old, new in renamed(given).items() if not known.get(new)}


def provider_secret(name: str) -> str:
    """The secrets of a provider in the environment as they stand there, whatever else is; "" when it has none."""
    setting = f"{PREFIX}{name.upper()}_SECRET"
    given = {key: os.environ[key] for key in (setting, setting + setting_files.SUFFIX) if key in os.environ}
    setting_files.put(given, {setting: ""})
    return given.get(setting, "")


def _unknown(name: str, fields: Mapping[str, str]) -> str:
    if name.startswith((f"{PREFIX}PORT_", f"{PREFIX}SERVICE_")):
        return f"{name} is not a setting; Kubernetes made it for a Service: set enableServiceLinks: false"
    near = difflib.get_close_matches(name, fields, n=1, cutoff=0.75)
    return f"{name} is not a setting" + (f"; do you mean {near[0]}?" if near else "")


def _wrong(exc: ValidationError) -> list[str]:
    return [
        f"{PREFIX}{str(error['loc'][0]).upper()}: {error['msg'].removeprefix('Value error, ')}"
        for error in exc.errors(include_url=False, include_input=False, include_context=False)
    ]


def _contradictions(settings: Settings) -> list[str]:
    problems = []
    if settings.embedded and settings.workers > 1:
        problems.append("RELAY_WORKERS: more than one process needs a Redis that they share: set RELAY_REDIS_URL")
    if settings.embedded and settings.redis_wait_replicas:
        problems.append("RELAY_REDIS_WAIT_REPLICAS: memory:// has no replicas: set RELAY_REDIS_URL")
    if settings.internal_port and settings.internal_port == settings.port:
        problems.append("RELAY_INTERNAL_PORT: must differ from RELAY_PORT")
    problems += work_bytes.problems(settings.work_bytes, largest_bytes=settings.max_message_bytes)
    return problems + _oauth_gaps(settings)


def _oauth_gaps(settings: Settings) -> list[str]:
    """A signature alone says who made a token, not for whom: many servers sign those of all their customers alike."""
    issuer, audience, subject = (
        settings.sendgrid_oauth_issuer,
        settings.sendgrid_oauth_audience,
        settings.sendgrid_oauth_subject,
    )
    if not settings.sendgrid_jwks_url:
        given = issuer or audience or subject
        missing = (
            "RELAY_SENDGRID_JWKS_URL: is missing, and RELAY_SENDGRID_OAUTH_ISSUER and the like are of no use alone"
        )
        return [missing] if given else []
    problems = []
    if not issuer:
        problems.append(
            "RELAY_SENDGRID_OAUTH_ISSUER: is missing: whose tokens those of RELAY_SENDGRID_JWKS_URL are"
        )
    if not (audience or subject):
        problems.append(
            "RELAY_SENDGRID_OAUTH_AUDIENCE: is missing, or RELAY_SENDGRID_OAUTH_SUBJECT: anybody whom that server gives"
            " tokens could post mail"
        )
    return problems
