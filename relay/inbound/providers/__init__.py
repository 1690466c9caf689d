"""All providers by name. A new one is a line here, see CONTRIBUTING.md."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import cast

from relay.inbound.webhook.provider import FetchingProvider, Provider
from relay.settings import PREFIX, Settings

_CLASSES = {
    "raw": "Raw",
    "ahasend": "AhaSend",
    "brevo": "Brevo",
    "cloudmailin": "CloudMailin",
    "forwardemail": "ForwardEmail",
    "improvmx": "ImprovMX",
    "mailersend": "MailerSend",
    "mailgun": "Mailgun",
    "mailjet": "Mailjet",
    "mailsac": "Mailsac",
    "mandrill": "Mandrill",
    "postal": "Postal",
    "postmark": "Postmark",
    "resend": "Resend",
    "sendgrid": "SendGrid",
    "ses": "Ses",
    "sparkpost": "SparkPost",
}


def _make(name: str, secrets: tuple[str, ...]) -> Provider:
    """Loads the module of the provider: what proves some takes as long to load as half of the service."""
    made: Callable[[tuple[str, ...]], Provider] = getattr(import_module(f"{__name__}.{name}"), _CLASSES[name])
    return made(secrets)


# Each provider by the name of its setting (RELAY_<NAME>_SECRET), of its path (/inbound/<name>) and of its module.
PROVIDERS: dict[str, Callable[[tuple[str, ...]], Provider]] = {name: partial(_make, name) for name in _CLASSES}
# Those that are of no use without RELAY_<NAME>_API_KEY: their posts never hold a whole mail.
NEED_API_KEY = ("brevo", "resend")
# Those whose posts may only announce a mail: FetchingProvider.
FETCHING = ("brevo", "mailgun", "resend")


def enabled(settings: Settings) -> dict[str, Provider]:
    """Those that have a secret, by name."""
    return {name: PROVIDERS[name](secrets) for name, secrets in settings.provider_secrets().items()}


def without_api_key(settings: Settings) -> list[str]:
    """What is wrong with providers that could take posts, and bring no mail."""
    return [
        f"{PREFIX}{name.upper()}_API_KEY: must be set beside {PREFIX}{name.upper()}_SECRET: mail is fetched with it"
        for name in NEED_API_KEY
        if name in settings.provider_secrets() and name not in settings.api_keys()
    ]


def fetching() -> dict[str, FetchingProvider]:
    """Those whose mail may have to be fetched, also without a secret: the queue may hold what was theirs."""
    return {name: cast("FetchingProvider", PROVIDERS[name](())) for name in FETCHING}
