"""What all REST paths share: who calls, what the body says, and how an error is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from relay.accounts.gate import Gate
from relay.accounts.rights import Rights
from relay.activity.kinds import shown
from relay.address import BadAddress, canonical_address
from relay.errors import BadRequest, RelayError, TooLarge, Unauthorized
from relay.fair import FairQueue

BODY_LIMIT_BYTES = 64 * 1024
BODY_KEY = "_mailsacKey"  # the API key as a member of the body or of the query, as Mailsac's clients may send it
_SHOWN_ERRORS = 20
_WITH_BODY = ("POST", "PUT")


class Json(Response):
    """JSON by orjson: UTF-8, no NaN."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class InvalidBody(BadRequest):
    """Members of the body are wrong; the answer names each."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        """``problems`` are member and text."""
        self.problems = problems
        super().__init__("; ".join(f"{member}: {text}" for member, text in problems))

    def body(self) -> dict[str, Any]:
        return super().body() | {"validationErrors": [f"{member}: {text}" for member, text in self.problems]}


class Body(BaseModel):
    """Base of what a path takes: types as they are in JSON, and no member that is not named."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


AnyBody = TypeVar("AnyBody", bound=Body)


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated request."""

    rights: Rights
    request: Request
    members: Mapping[str, Any]  # of the JSON body, without the key; {} when there is none

    @property
    def account_id(self) -> str:
        """Whose key calls."""
        return self.rights.account_id

    def path(self, name: str) -> str:
        """A part of the path, percent-decoded. Raises BadRequest: it is not UTF-8."""
        text = str(self.request.path_params[name])
        # What servers put for bytes that are not UTF-8: many paths would become one name.
        if "\ufffd" in text:
            raise BadRequest(f"the {name} in the path is not percent-encoded UTF-8", member=name)
        return text

    def key(self) -> str:
        """The API key of the headers or the query; "" when it came in the body."""
        return _key_outside(self.request)

    async def gone(self) -> None:
        """Returns when the client has hung up: nobody is left to answer."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass

    def body(self, model: type[AnyBody]) -> AnyBody:
        """The body, read as ``model``. Raises InvalidBody."""
        try:
            return model.model_validate(self.members)
        except ValidationError as exc:
            raise _invalid(exc) from None


PUBLIC_PATH = "relay.public_path"  # of the scope: the path below which clients see "/", without a slash at its end


def public_path(call: Call, path: str) -> str:
    """A path of ours as the client sees it, for a Link: a proxy may serve us below another (RELAY_PUBLIC_URL)."""
    return f"{call.request.scope.get(PUBLIC_PATH, '')}{path}"


Handler = Callable[[Call], Awaitable[Response]]


def route(
    path: str,
    gate: Gate,
    handlers: Mapping[str, Handler],
    *,
    queue: FairQueue | None = None,
    own: bool = False,
    account_wide: bool = False,
) -> Route:
    """A path with a handler for each of its methods; one route, so that a 405 can name them all.

    ``queue``: what it costs is such that not everybody may have it at once. ``own``, ``account_wide``: for keys that
    may less than their account, see :meth:`relay.accounts.rights.Rights.check_rest`.
    """

    async def endpoint(request: Request) -> Response:
        handler = handlers["GET" if request.method == "HEAD" else request.method]
        call = await _call(request, gate)
        if not call.rights.scope.whole:
            call.rights.check_rest(request.method, _email(request), own=own, account_wide=account_wide)
        if queue is None:
            return await handler(call)
        async with queue.slot(call.account_id, call.gone):
            return await handler(call)

    return Route(path, endpoint, methods=list(handlers))


def _email(request: Request) -> str | None:
    """The address in the path, canonical; None: there is none, or it is none."""
    try:
        return canonical_address(str(request.path_params["email"]))
    except (KeyError, BadAddress):
        return None


async def _call(request: Request, gate: Gate) -> Call:
    members: dict[str, Any] = {}
    key = _key_outside(request)
    # A stranger's body is not read before the key, unless the key can only be in it.
    rights = await _rights(key, request, gate) if key or request.method not in _WITH_BODY else None
    if request.method in _WITH_BODY:
        members = _members(await _read(request))
        inside = members.pop(BODY_KEY, "")
        if not isinstance(inside, str):
            raise BadRequest(f"{BODY_KEY} must be text", member=BODY_KEY)
        rights = rights or await _rights(inside, request, gate)
    if rights is None:  # cannot be: who has no body has been asked above
        raise Unauthorized("no API key")
    return Call(rights, request, members)


async def _rights(key: str, request: Request, gate: Gate) -> Rights:
    """What a key may do. Raises Unauthorized; TooManyRequests in its place, when there were many from there."""
    try:
        return await gate.rights_of(key)
    except Unauthorized:
        gate.wrong_keys.count(shown(request.client.host) if request.client else "", "rest")
        raise


def _key_outside(request: Request) -> str:
    """The API key of the headers or the query; "" when there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return request.headers.get("mailsac-key") or bearer or request.query_params.get(BODY_KEY) or ""


async def _read(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_LIMIT_BYTES:
                raise TooLarge(f"the body is over {BODY_LIMIT_BYTES} bytes")
    except ClientDisconnect as exc:
        raise BadRequest("the request ended before its body did") from exc
    return bytes(body)


def _members(body: bytes) -> dict[str, Any]:
    """The JSON object of a body, whatever its Content-Type: ``curl -d`` says it is a form."""
    if not body.strip():
        return {}
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"the body is not JSON: {exc}") from exc
    if not isinstance(members, dict):
        raise BadRequest('the body is not a JSON object, such as {"enablews": true}')
    return members


def _invalid(exc: ValidationError) -> InvalidBody:
    problems = []
    for error in exc.errors(include_url=False, include_input=False, include_context=False)[:_SHOWN_ERRORS]:
        parts = (f"[{part}]" if isinstance(part, int) else f".{part[:80]}" for part in error["loc"])
        text = "is not known here" if error["type"] == "extra_forbidden" else error["msg"]
        problems.append(("".join(parts).removeprefix("."), text.removeprefix("Value error, ")))
    return InvalidBody(problems)


async def on_relay_error(request: Request, exc: Exception) -> Response:
    """The answer to any RelayError, for ``Starlette(exception_handlers={RelayError: …})``."""
    if not isinstance(exc, RelayError):
        raise exc
    return Json(exc.body(), exc.status, dict(exc.headers))


async def on_http_error(request: Request, exc: Exception) -> Response:
    """The answer to Starlette's own errors: JSON below /api (no such path, wrong method), else plain text."""
    if not isinstance(exc, HTTPException):
        raise exc
    text = exc.detail
    if exc.status_code == 404:
        text = "there is no such path; README.md lists those that are"
    elif exc.status_code == 405:
        allowed = (exc.headers or {}).get("Allow", "")
        text = f"{request.method} is not for this path" + (f"; it takes {allowed}" if allowed else "")
    if (request.scope["path"] + "/").startswith("/api/"):
        return Json({"error": text, "message": text}, exc.status_code, exc.headers)
    return PlainTextResponse(text, exc.status_code, exc.headers)


def iso(unix_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds and Z."""
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC).replace(microsecond=unix_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
