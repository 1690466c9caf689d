"""Settings with which every provider of the service can be posted to."""

from __future__ import annotations

from relay import builders
from relay.inbound.providers import NEED_API_KEY, PROVIDERS

SETTINGS: dict[str, str] = {f"{name}_secret": builders.pair(name)[1] for name in PROVIDERS} | {
    f"{name}_api_key": "key-of-no-api" for name in NEED_API_KEY
}
