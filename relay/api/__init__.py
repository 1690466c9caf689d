"""REST: the same store and rules as the sockets, one file a noun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.api import addresses, domains, samples
from relay.api.rest import on_http_error, on_relay_error
from relay.errors import RelayError
from relay.inbound.intake import Intake

__all__ = ["exception_handlers", "routes"]


def routes(accounts: Accounts, intake: Intake) -> list[Route]:
    """All paths below /api."""
    return [*addresses.routes(accounts), *domains.routes(accounts), *samples.routes(accounts, intake)]


def exception_handlers() -> Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]]:
    """For ``Starlette(exception_handlers=…)``: what any room raises, and Starlette's own 404 and 405."""
    return {RelayError: on_relay_error, HTTPException: on_http_error}
