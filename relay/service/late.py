"""What is loaded when it is needed, and not at each start: the reference, and what asks others over https.

It takes a fifth of the CPU that all else takes to load, and most processes never need it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.routing import Route

from relay import web
from relay.inbound.intake import Intake
from relay.inbound.webhook.provider import Provider
from relay.metrics import Metrics
from relay.queues.fetches import Fetches
from relay.settings import Settings
from relay.work_bytes import WorkBytes

if TYPE_CHECKING:
    from relay.inbound.fetching.document_cache import DocumentCache
    from relay.inbound.fetching.worker import FetchWorker

# ruff: noqa: PLC0415  # the imports inside of functions are what this file is for


def reference_routes(public_url: str) -> list[Route]:
    """``/docs``, ``/openapi.json`` and ``/asyncapi.json``: made when first asked for, in a thread."""

    def made(path: str) -> bytes:
        from relay.reference import documents

        return documents.made(path, public_url)

    names = {"/docs": "docs.html", "/openapi.json": "/openapi.json", "/asyncapi.json": "/asyncapi.json"}
    return [web.made(path, name, partial(made, path)) for path, name in names.items()]


def document_cache(settings: Settings) -> DocumentCache | None:
    """What proofs need from elsewhere; None: they need nothing. Its ``run`` has an owner."""
    if not settings.sendgrid_jwks_url and "ses" not in settings.provider_secrets():
        return None
    from relay.service import outside

    return outside.document_cache(settings)


def with_documents(
    known: dict[str, Provider], documents: DocumentCache | None, settings: Settings
) -> dict[str, Provider]:
    """The same providers; whose proof is not in the post reaches it."""
    if documents is None:
        return known
    from relay.service import outside

    return outside.with_documents(known, documents, settings)


def fetch_worker(
    settings: Settings, fetches: Fetches, intake: Intake, metrics: Metrics, work: WorkBytes
) -> FetchWorker:
    """What fetches mail that posts only announced. Its ``run`` has an owner."""
    from relay.service import outside

    return outside.fetch_worker(settings, fetches, intake, metrics, work)
