"""REST: the API keys of the account. These paths are our own: Mailsac's clients have none for keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts, hash_key
from relay.accounts.api_keys import FROM_FILE, ApiKey
from relay.api.rest import Body, Call, Json, iso, route
from relay.errors import NotFound

KEYS_LIMIT = 100  # of one account, made by REST; an operator may give it more
_LABEL_LIMIT = 100  # characters
_COMES_BACK = (
    "It stands in the accounts file, which brings it back when the service next starts: remove it there as well."
)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return text


class Wanted(Body):
    """What a new key is for, and what it may do."""

    label: Annotated[str, Field(max_length=_LABEL_LIMIT), AfterValidator(_printable)] = ""
    readOnly: bool = False  # noqa: N815  # as it is in JSON
    address: Annotated[str, Field(max_length=320)] = ""  # whose mail alone it reaches; "" = all of the account
    expires: Annotated[str, Field(max_length=20)] = ""  # how long it lives, such as 30d; "" = for ever


class KeyApi:
    """The handlers; a key itself is in the answer that made it, and in no other."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._keys = accounts.keys

    async def list(self, call: Call) -> Response:
        return Json([_as_json(key, call) for key in await self._keys.list(call.account_id)])

    async def make(self, call: Call) -> Response:
        wanted = call.body(Wanted)
        call.rights.check_new_key()
        scope = await self._accounts.scope(
            call.account_id, read_only=wanted.readOnly, address=wanted.address, expires=wanted.expires
        )
        new = await self._keys.add(
            call.account_id, label=wanted.label, source="api", limit=KEYS_LIMIT, scope=scope
        )
        shown = _as_json(await self._find(call, new.id), call)
        del shown["current"]
        return Json(shown | {"key": new.key})

    async def revoke(self, call: Call) -> Response:
        """Also the key that calls: who fears that a key is known to others has perhaps no other at hand. Not the last
        one, without which nobody could make another."""
        # By its id alone: a whole key does not belong into a URL.
        found = await self._find(call, call.path("key_id"))
        await self._keys.revoke(call.account_id, found.hash, last=False)
        return Json({"id": found.id, "message": _farewell(found, call)})

    async def _find(self, call: Call, key_id: str) -> ApiKey:
        for key in await self._keys.list(call.account_id):
            if key.id == key_id:
                return key
        raise NotFound("this account has no key with this id; GET /api/keys lists them")


def routes(accounts: Accounts) -> list[Route]:
    """The paths of this noun, for app.py."""
    api, gate = KeyApi(accounts), accounts.gate
    return [
        route("/api/keys", gate, {"GET": api.list, "POST": api.make}),
        route("/api/keys/{key_id}", gate, {"DELETE": api.revoke}),
    ]


def _calls_with(call: Call, key: ApiKey) -> bool:
    return hash_key(call.key()) == key.hash


def _farewell(key: ApiKey, call: Call) -> str:
    parts = ["Key was revoked, and its sockets are closed."]
    if _calls_with(call, key):
        parts.append("It is the one of this request: use another from now on.")
    if key.source == FROM_FILE:
        parts.append(_COMES_BACK)
    return " ".join(parts)


def _as_json(key: ApiKey, call: Call) -> dict[str, Any]:
    return {
        "id": key.id,
        "label": key.label,
        "source": key.source,
        "created": iso(key.created_ms),
        "readOnly": key.scope.read_only,
        "address": key.scope.address or None,
        "expires": iso(key.scope.expires_ms) if key.scope.expires_ms else None,
        "current": _calls_with(call, key),
    }
