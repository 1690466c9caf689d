"""REST: the same store and rules as the sockets, one file a noun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.activity import Reader
from relay.api import activity, addresses, api_keys, content, domains, inbox, me, messages, samples, sockets, wait
from relay.api.rest import PUBLIC_PATH, on_http_error, on_relay_error
from relay.delivery.letterbox import Letterbox
from relay.delivery.survey import Survey
from relay.errors import RelayError
from relay.fair import FairQueue
from relay.inbound.intake import Intake
from relay.mailbox import Mailbox
from relay.waiting.wait import Waiting

__all__ = ["PUBLIC_PATH", "Rooms", "exception_handlers", "routes"]

_WIDE_AT_ONCE = 4  # answers that look into many inboxes: each takes Redis some seconds at worst
_WIDE_OF_ACCOUNT = 2


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the handlers ask."""

    accounts: Accounts
    mailbox: Mailbox
    letterbox: Letterbox
    waiting: Waiting
    activity: Reader
    intake: Intake
    survey: Survey


def routes(rooms: Rooms) -> list[Route]:
    """All paths below /api."""
    accounts, mailbox = rooms.accounts, rooms.mailbox
    wide = FairQueue(at_once=_WIDE_AT_ONCE, per_account=_WIDE_OF_ACCOUNT)
    waits = wait.WaitApi(accounts, mailbox, rooms.letterbox, rooms.waiting, rooms.activity)
    return [
        *addresses.routes(accounts),
        *domains.routes(accounts),
        *api_keys.routes(accounts),
        *samples.routes(accounts, rooms.intake),
        *messages.routes(accounts, mailbox, waits, wide),
        *inbox.routes(accounts, mailbox, wide),
        *me.routes(accounts, mailbox, wide),
        *content.routes(accounts, mailbox),
        *wait.routes(accounts, waits),
        *activity.routes(accounts.gate, rooms.activity),
        *sockets.routes(accounts, rooms.survey),
    ]


def exception_handlers() -> Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]]:
    """For ``Starlette(exception_handlers=…)``: what any room raises, and Starlette's own 404 and 405."""
    return {RelayError: on_relay_error, HTTPException: on_http_error}
