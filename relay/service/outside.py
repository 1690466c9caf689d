"""What asks others over https: for certificates and keys that prove posts, and for mail that posts only announce.

Loaded when a provider needs it, see ``late.py``: the HTTP client and what reads certificates take 100 ms of a start.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from relay.inbound import providers
from relay.inbound.fetching.document_cache import DocumentCache
from relay.inbound.fetching.worker import FetchWorker
from relay.inbound.intake import Intake
from relay.inbound.proof import sns
from relay.inbound.proof.oauth import TokenServer
from relay.inbound.providers.sendgrid import SendGrid
from relay.inbound.providers.ses import Ses
from relay.inbound.webhook.provider import Provider
from relay.metrics import Metrics
from relay.queues.fetches import Fetches
from relay.settings import Settings
from relay.work_bytes import WorkBytes

_CONFIRMATION_TRIES = 3  # of an SNS subscription; it is asked for once only


def document_cache(settings: Settings) -> DocumentCache:
    """For Amazon's certificates, and the keys of the operator's token server. Its ``run`` has an owner."""
    documents = DocumentCache(sns.is_amazon_sns, exactly=[settings.sendgrid_jwks_url])
    documents.ask(settings.sendgrid_jwks_url)  # the first mail need not wait then
    return documents


def with_documents(
    known: dict[str, Provider], documents: DocumentCache, settings: Settings
) -> dict[str, Provider]:
    """The same providers; whose proof is not in the post reaches it."""
    known = dict(known)
    if isinstance(ses := known.get("ses"), Ses):
        confirm = partial(documents.ask, tries=_CONFIRMATION_TRIES)
        known["ses"] = replace(ses, certificates=documents.cached, confirm=confirm)
    if settings.sendgrid_jwks_url and isinstance(sendgrid := known.get("sendgrid"), SendGrid):
        named = (settings.sendgrid_oauth_issuer, settings.sendgrid_oauth_audience, settings.sendgrid_oauth_subject)
        tokens = TokenServer(settings.sendgrid_jwks_url, *named)
        known["sendgrid"] = replace(sendgrid, tokens=tokens, key_sets=documents.cached)
    return known


def fetch_worker(
    settings: Settings, fetches: Fetches, intake: Intake, metrics: Metrics, work: WorkBytes
) -> FetchWorker:
    """For all providers that fetch: what one left in the queue whose secret is gone is fetched as well."""
    return FetchWorker(
        fetches,
        intake,
        metrics,
        work,
        providers=providers.fetching(),
        api_keys=settings.api_keys(),
        max_message_bytes=settings.max_message_bytes,
    )
