"""REST: the account whose key calls."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.api.rest import Call, Json, iso, route
from relay.errors import Unauthorized
from relay.fair import FairQueue
from relay.mailbox import Mailbox


class MeApi:
    """The handlers; each answers as the table in the reference says, or raises RelayError."""

    def __init__(self, accounts: Accounts, mailbox: Mailbox) -> None:
        self._accounts = accounts
        self._mailbox = mailbox

    async def me(self, call: Call) -> Response:
        account = await self._accounts.accounts.get(call.account_id)
        used = await self._accounts.addresses.count(call.account_id)
        return Json(
            {
                "_id": account.id,
                "privateAddressCredits": max(account.address_credits - used, 0),  # as Mailsac: those that are left
                "apiAccess": 1,
                "wsDomain": 1,
                "created": iso(account.created_ms),
            }
        )

    async def stats(self, call: Call) -> Response:
        account_id = call.request.query_params.get("overrideAccountId") or call.account_id
        if account_id != call.account_id:
            raise Unauthorized("overrideAccountId is not the account of this API key; leave it out")
        counts = await self._mailbox.count_account(account_id)
        return Json(
            {
                "addresses": [address.address for address in await self._accounts.addresses.list(account_id)],
                "domains": [domain.name for domain in await self._accounts.domains.list(account_id)],
                "starredMessages": counts.starred,
                "storedMessages": counts.messages,
            }
        )


def routes(accounts: Accounts, mailbox: Mailbox, wide: FairQueue) -> list[Route]:
    """The paths of this noun, for app.py."""
    api, gate = MeApi(accounts, mailbox), accounts.gate
    return [
        route("/api/me/stats", gate, {"GET": api.stats}, queue=wide),
        route("/api/me", gate, {"GET": api.me}, account_wide=True),
    ]
