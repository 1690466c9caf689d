"""REST: the same store and rules as the sockets, one file a noun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.api import addresses, api_keys, content, domains, inbox, me, messages, samples
from relay.api.rest import on_http_error, on_relay_error
from relay.errors import RelayError
from relay.inbound.intake import Intake
from relay.mailbox import Mailbox

__all__ = ["exception_handlers", "routes"]


def routes(accounts: Accounts, mailbox: Mailbox, intake: Intake) -> list[Route]:
    """All paths below /api that need no sockets."""
    return [
        *addresses.routes(accounts),
        *domains.routes(accounts),
        *api_keys.routes(accounts),
        *samples.routes(accounts, intake),
        *messages.routes(accounts, mailbox),
        *inbox.routes(accounts, mailbox),
        *me.routes(accounts, mailbox),
        *content.routes(accounts, mailbox),
        *samples.routes(accounts, intake),
    ]


def exception_handlers() -> Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]]:
    """For ``Starlette(exception_handlers=…)``: what any room raises, and Starlette's own 404 and 405."""
    return {RelayError: on_relay_error, HTTPException: on_http_error}
