"""``relay providers``: which webhooks this service takes by its RELAY_* settings, and what each provider is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from starlette.datastructures import QueryParams

from relay import settings
from relay.cli import table
from relay.cli.console import complain, print_json
from relay.errors import Unauthorized
from relay.inbound.providers import NEED_API_KEY, PROVIDERS
from relay.inbound.webhook.provider import Post, PostHeaders
from relay.settings import PREFIX, Settings

_NO_HOST = "https://<host>"
_PROBE = "probe"  # stands for a secret; nothing is sent

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class _Row:
    provider: str
    enabled: bool
    missing: str  # the settings that would enable it, "" = it is enabled
    url: str
    manual: str


@app.command()
def providers(*, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the mail providers, and the URL that each is told.

    A provider is taken while its secret is set; where mail has to be
    fetched, an API key as well. <secret> stands where the URL
    itself must hold one, unless the provider can give it in a header.

    Example:
      RELAY_PUBLIC_URL=https://relay.example.com relay providers
    """
    loaded = settings.load()
    rows = [_row(name, loaded) for name in sorted(PROVIDERS)]
    if json:
        print_json([{name: getattr(row, name) for name in _Row.__slots__} for row in rows])
        return
    shown = [(row.provider, "on" if row.enabled else "off", row.missing, row.url, row.manual) for row in rows]
    table.show(("sender", "", "missing", "URL", "manual"), shown, nothing="there are none")
    if not loaded.public_url:
        complain(f"set {PREFIX}PUBLIC_URL to have the host in these URLs")


def _row(name: str, loaded: Settings) -> _Row:
    secrets = loaded.provider_secrets()
    missing = [] if name in secrets else [f"{PREFIX}{name.upper()}_SECRET"]
    if name in NEED_API_KEY and name not in loaded.api_keys():
        missing.append(f"{PREFIX}{name.upper()}_API_KEY")
    # Enabled without a secret: its posts bring tokens, and nothing of the kind belongs into the URL.
    token = _takes_token(name) and secrets.get(name) != ()
    return _Row(
        provider=name,
        enabled=not missing,
        missing=" ".join(missing),
        url=f"{loaded.public_url or _NO_HOST}/inbound/{name}{'?token=<secret>' if token else ''}",
        manual=f"docs/providers/{name}.md",
    )


def _takes_token(name: str) -> bool:
    """Whether the URL alone may prove a post. The provider itself is asked, so that this is never out of date."""
    query = QueryParams({"token": _PROBE})
    try:
        PROVIDERS[name]((_PROBE,)).verify(Post(PostHeaders([]), query, b"", datetime.now(UTC)))
    except Unauthorized:
        return False
    return True
