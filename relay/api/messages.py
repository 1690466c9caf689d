"""REST: messages. Paths, members and statuses are Mailsac's, so that its clients work here."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.address import canonical_address
from relay.api.rest import Call, Json, route
from relay.api.wait import WaitApi
from relay.mailbox import Kept, Mailbox

_NOT_LISTED = ("raw", "rawEncoding", "headers", "text", "html")


class MessageApi:
    """The handlers; each answers as the table in the reference says, or raises RelayError."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def get(self, call: Call) -> Response:
        email = canonical_address(call.path("email"), member="email")
        return Json(_shown(await self._mailbox.letter(call.account_id, email, call.path("id"))))


def routes(accounts: Accounts, mailbox: Mailbox, waits: WaitApi) -> list[Route]:
    """The paths of this noun, for app.py."""
    api, gate = MessageApi(mailbox), accounts.gate
    return [
        route("/api/addresses/{email:email}/messages", gate, {"GET": waits.wait}),
        route("/api/addresses/{email:email}/messages/{id}", gate, {"GET": api.get}),
    ]


def _shown(kept: Kept) -> dict[str, Any]:
    frame: dict[str, Any] = orjson.loads(kept.frame)
    for name in _NOT_LISTED:
        frame.pop(name, None)
    return frame
