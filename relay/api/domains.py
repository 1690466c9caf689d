"""REST: custom domains. The object is Mailsac's ``Domain``; adding and verifying by REST are our own paths."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.accounts.domains import Domain
from relay.address import canonical_domain
from relay.api.rest import Body, Call, Json, iso, route


class Nothing(Body):
    """A body without members."""


class DomainApi:
    """The handlers; each answers with the domain object, or raises RelayError."""

    def __init__(self, accounts: Accounts) -> None:
        self._domains = accounts.domains

    async def list(self, call: Call) -> Response:
        return Json([_as_json(domain) for domain in await self._domains.list(call.account_id)])

    async def get(self, call: Call) -> Response:
        # Mailsac puts the object inside another here, and only here.
        return Json({"domain": _as_json(await self._domains.get(call.account_id, _name(call)))})

    async def add(self, call: Call) -> Response:
        call.body(Nothing)
        return Json(_as_json(await self._domains.add(call.account_id, _name(call))))

    async def verify(self, call: Call) -> Response:
        call.body(Nothing)
        return Json(_as_json(await self._domains.verify(call.account_id, _name(call))))

    async def remove(self, call: Call) -> Response:
        name = _name(call)
        await self._domains.remove(call.account_id, name)
        return Json({"_id": name, "message": "Domain was removed."})


def routes(accounts: Accounts) -> list[Route]:
    """The paths of this noun, for app.py."""
    api, gate = DomainApi(accounts), accounts.gate
    return [
        route("/api/domains", gate, {"GET": api.list}),
        route("/api/domains/{domain}/verify", gate, {"POST": api.verify}),
        route("/api/domains/{domain}", gate, {"GET": api.get, "POST": api.add, "DELETE": api.remove}),
    ]


def _name(call: Call) -> str:
    return canonical_domain(call.path("domain"), member="domain")


def _as_json(domain: Domain) -> dict[str, Any]:
    return {
        "_id": domain.name,
        "owner": domain.owner or None,  # null until verified
        "verified": domain.verified,
        "verificationTxt": domain.verification_txt,
        "lastVerificationErrors": domain.last_verification_errors,
        "enablews": True,
        "created": iso(domain.created_ms),
        "updated": iso(domain.updated_ms),
    }
