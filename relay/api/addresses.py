"""REST: addresses. Paths, members and statuses are Mailsac's, so that its clients work here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, Field, model_validator
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.accounts.accounts import MAX_CREDITS
from relay.accounts.addresses import BULK_LIMIT
from relay.accounts.reservation import Change, Reservation
from relay.address import canonical_address
from relay.api import listing
from relay.api.chunked_response import ResponseMemory, StreamedResponse
from relay.api.rest import Body, Call, Json, iso, route
from relay.errors import BadRequest

_PATH = "/api/addresses"
_PLACE_BYTES = 200  # that a list holds of each address until it is read
_INFO_LIMIT = 1000  # characters
_URL_LIMIT = 2048  # characters


def _url(text: str) -> str:
    """ "" or an http(s) URL."""
    if text and (not text.isprintable() or " " in text or not _names_a_host(text)):
        raise ValueError('must be an http:// or https:// URL, or "" for none')
    return text


def _names_a_host(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _forward(text: str) -> str:
    """ "" or a canonical address."""
    try:
        return canonical_address(text) if text else ""
    except BadRequest as exc:
        raise ValueError(str(exc)) from exc


_Url = Annotated[str, Field(max_length=_URL_LIMIT), AfterValidator(_url)]


_NOT_SET_BY_CLIENTS = frozenset({"_id", "owner", "catchAll", "password", "encryptedInbox", "created", "updated"})


class Forwarding(Body):
    """What to set on an address. A member that is absent stays; null and "" clear it, null is false for a bool.

    The other members of an address object may be there and change nothing: clients read it, change a member, and
    put the whole object back.
    """

    @model_validator(mode="before")
    @classmethod
    def _without_what_cannot_be_set(cls, members: Any) -> Any:
        return {name: value for name, value in members.items() if name not in _NOT_SET_BY_CLIENTS}

    enablews: bool | None = None
    info: Annotated[str, Field(max_length=_INFO_LIMIT)] | None = None
    forward: Annotated[str, AfterValidator(_forward)] | None = None
    webhook: _Url | None = None
    webhook_slack: _Url | None = Field(None, alias="webhookSlack")
    webhook_slack_to_from: bool | None = Field(None, alias="webhookSlackToFrom")

    def change(self) -> Change:
        """The same as the accounts room takes it."""
        flags = ("enablews", "webhook_slack_to_from")
        given = {name: getattr(self, name) for name in self.model_fields_set}
        cleared = {name: (False if name in flags else "") for name, value in given.items() if value is None}
        return Change(**(given | cleared))


class Bulk(Body):
    """Addresses to reserve together."""

    addresses: list[str] = Field(min_length=1, max_length=BULK_LIMIT)


class _EmailConvertor(Convertor[str]):
    # A local part may hold a slash (RFC 5322 atext), which arrives here decoded.
    regex = "[^@]+@[^/@]+|[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class AddressApi:
    """The handlers; each answers as the table in the reference says, or raises RelayError."""

    def __init__(self, accounts: Accounts) -> None:
        self._addresses = accounts.addresses
        self._unread = ResponseMemory()

    async def list(self, call: Call) -> Response:
        skip = listing.skip(call, MAX_CREDITS)
        if call.request.query_params.get("limit"):
            return await self._page(call, limit=listing.limit(call), skip=skip)
        parts = self._addresses.listed.parts(call.account_id, skip=skip)
        count = await self._addresses.count(call.account_id)
        if count <= listing.MOST:
            return Json([_as_json(reservation) async for part in parts for reservation in part])
        return StreamedResponse(
            _as_pieces(parts),
            Json.media_type,
            account_id=call.account_id,
            held_bytes=count * _PLACE_BYTES,
            unread=self._unread,
        )

    async def _page(self, call: Call, *, limit: int, skip: int) -> Response:
        page = await self._addresses.listed.page(call.account_id, skip=skip, limit=limit)
        more = page.next_skip is not None and limit
        link = listing.next_page(call, _PATH, limit=limit, skip=page.next_skip or 0) if more else {}
        return Json([_as_json(reservation) for reservation in page.reservations], headers=link)

    async def get(self, call: Call) -> Response:
        return Json(_as_json(await self._addresses.get(call.account_id, _email(call))))

    async def reserve(self, call: Call) -> Response:
        change = call.body(Forwarding).change()
        return Json(_as_json(await self._addresses.reserve(call.account_id, _email(call), change)))

    async def update(self, call: Call) -> Response:
        change = call.body(Forwarding).change()
        return Json(_as_json(await self._addresses.update(call.account_id, _email(call), change)))

    async def release(self, call: Call) -> Response:
        # Mailsac's deleteAddressMessages is taken and changes nothing: released mail, starred or not, is never kept.
        address = _email(call)
        await self._addresses.release(call.account_id, address)
        return Json({"_id": address, "message": "Address was released."})

    async def availability(self, call: Call) -> Response:
        address = _email(call)
        available, owned = await self._addresses.availability(call.account_id, address)
        return Json({"available": available, "email": address, "owned": owned})

    async def bulk(self, call: Call) -> Response:
        given = call.body(Bulk).addresses
        addresses = [canonical_address(text, member=f"addresses[{i}]") for i, text in enumerate(given)]
        reserved = await self._addresses.reserve_bulk(call.account_id, addresses)
        return Json([_as_json(reservation) for reservation in reserved])


def routes(accounts: Accounts) -> list[Route]:
    """The paths of this noun, for app.py."""
    register_url_convertor("email", _EmailConvertor())  # Starlette's table is its own; this is the same each time
    api, gate = AddressApi(accounts), accounts.gate
    one = {"GET": api.get, "POST": api.reserve, "PUT": api.update, "DELETE": api.release}
    return [
        route(_PATH, gate, {"GET": api.list}),
        route("/api/addresses/{email:email}/availability", gate, {"GET": api.availability}),
        route("/api/addresses/{email:email}", gate, one, own=True),
        route("/api/private-address-forwarding/{email:email}", gate, {"PUT": api.update}, own=True),
        route("/api/private-addresses-bulk", gate, {"POST": api.bulk}),
    ]


def _email(call: Call) -> str:
    return canonical_address(call.path("email"), member="email")


async def _as_pieces(parts: AsyncGenerator[Sequence[Reservation]]) -> AsyncGenerator[bytes]:
    """A JSON list in pieces; each but the first begins with a comma, or the bracket."""
    before = b"["
    async with aclosing(parts):
        async for part in parts:
            if part:
                yield before + orjson.dumps([_as_json(reservation) for reservation in part])[1:-1]
                before = b","
    yield b"[]" if before == b"[" else b"]"


def _as_json(reservation: Reservation) -> dict[str, Any]:
    """Mailsac's address object; a free address has no ``owner`` and no times."""
    free = not reservation.owner
    shown = {
        "_id": reservation.address,
        "owner": reservation.owner,
        "info": reservation.info,
        "enablews": reservation.enablews,
        "forward": reservation.forward,
        "webhook": reservation.webhook,
        "webhookSlack": reservation.webhook_slack,
        "webhookSlackToFrom": reservation.webhook_slack_to_from,
        "catchAll": None,
        "password": None,
        "encryptedInbox": None,
        "created": None if free else iso(reservation.created_ms),
        "updated": None if free else iso(reservation.updated_ms),
    }
    if free:
        del shown["owner"]
    return shown
