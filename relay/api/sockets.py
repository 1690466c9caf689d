"""REST: the sockets of the account that are open now, and how they fare. The path is our own."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.api.rest import Call, Json, iso, route
from relay.delivery.survey import Survey


class SocketApi:
    """The handler."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey

    async def list(self, call: Call) -> Response:
        """``X-Total-Count`` says how many there are when there are more than are shown."""
        seen = await self._survey.sockets(call.account_id)
        response = Json([_as_json(socket) for socket in seen.sockets])
        response.headers["x-total-count"] = str(seen.total)
        return response


def routes(accounts: Accounts, survey: Survey) -> list[Route]:
    """The path of this noun, for app.py."""
    return [route("/api/sockets", accounts.gate, {"GET": SocketApi(survey).list})]


def _as_json(socket: dict[str, Any]) -> dict[str, Any]:
    return socket | {"opened": iso(socket["opened"])}
