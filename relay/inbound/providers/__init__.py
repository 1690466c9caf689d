"""All providers by name. A new one is a line here, see CONTRIBUTING.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from relay.inbound.proof.oauth import TokenServer
from relay.inbound.providers.ahasend import AhaSend
from relay.inbound.providers.brevo import Brevo
from relay.inbound.providers.cloudmailin import CloudMailin
from relay.inbound.providers.forwardemail import ForwardEmail
from relay.inbound.providers.improvmx import ImprovMX
from relay.inbound.providers.mailersend import MailerSend
from relay.inbound.providers.mailgun import Mailgun
from relay.inbound.providers.mailjet import Mailjet
from relay.inbound.providers.mailsac import Mailsac
from relay.inbound.providers.mandrill import Mandrill
from relay.inbound.providers.postal import Postal
from relay.inbound.providers.postmark import Postmark
from relay.inbound.providers.raw import Raw
from relay.inbound.providers.resend import Resend
from relay.inbound.providers.sendgrid import SendGrid
from relay.inbound.providers.ses import Ses
from relay.inbound.providers.sparkpost import SparkPost
from relay.inbound.webhook.provider import FetchingProvider, Provider
from relay.settings import PREFIX, Settings

# Each provider by the name of its setting (RELAY_<NAME>_SECRET) and of its path (/inbound/<name>).
PROVIDERS: dict[str, Callable[[tuple[str, ...]], Provider]] = {
    "raw": Raw,
    "ahasend": AhaSend,
    "brevo": Brevo,
    "cloudmailin": CloudMailin,
    "forwardemail": ForwardEmail,
    "improvmx": ImprovMX,
    "mailersend": MailerSend,
    "mailgun": Mailgun,
    "mailjet": Mailjet,
    "mailsac": Mailsac,
    "mandrill": Mandrill,
    "postal": Postal,
    "postmark": Postmark,
    "resend": Resend,
    "sendgrid": SendGrid,
    "ses": Ses,
    "sparkpost": SparkPost,
}
# Those that are of no use without RELAY_<NAME>_API_KEY: their posts never hold a whole mail.
NEED_API_KEY = ("brevo", "resend")


def enabled(settings: Settings) -> dict[str, Provider]:
    """Those that have a secret, by name."""
    known = {name: PROVIDERS[name](secrets) for name, secrets in settings.provider_secrets().items()}
    if settings.sendgrid_jwks_url and isinstance(sendgrid := known["sendgrid"], SendGrid):
        named = (settings.sendgrid_oauth_issuer, settings.sendgrid_oauth_audience, settings.sendgrid_oauth_subject)
        known["sendgrid"] = replace(sendgrid, tokens=TokenServer(settings.sendgrid_jwks_url, *named))
    return known


def without_api_key(settings: Settings) -> list[str]:
    """What is wrong with providers that could take posts, and bring no mail."""
    return [
        f"{PREFIX}{name.upper()}_API_KEY: must be set beside {PREFIX}{name.upper()}_SECRET: mail is fetched with it"
        for name in NEED_API_KEY
        if name in settings.provider_secrets() and name not in settings.api_keys()
    ]


def fetching() -> dict[str, FetchingProvider]:
    """Those whose mail may have to be fetched, also without a secret: the queue may hold what was theirs."""
    made = {name: make(()) for name, make in PROVIDERS.items()}
    return {name: provider for name, provider in made.items() if isinstance(provider, FetchingProvider)}
