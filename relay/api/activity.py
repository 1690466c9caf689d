"""``GET /api/activity``: what happened lately to the mail and the sockets of the account, newest first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from relay.accounts.gate import Gate
from relay.activity import Reader
from relay.activity.reader import MAX_WAIT_SECONDS
from relay.address import canonical_address, out_of_query
from relay.api.rest import Call, Json, route
from relay.errors import BadRequest, Unauthorized

_DEFAULT_LIMIT = 50
_MAX_LIMIT = 1000
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
_COUNT = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class _Query:
    limit: int
    since: str  # cursor; "" = the newest are wanted
    inbox: str  # canonical; "" = all
    wait_seconds: float


def routes(gate: Gate, reader: Reader) -> list[Route]:
    """The one path."""

    async def read(call: Call) -> Response:
        query = _parsed(call.request.query_params)
        page = await reader.read(
            call.account_id,
            limit=query.limit,
            since=query.since,
            inbox=query.inbox,
            wait_seconds=query.wait_seconds,
            gone=call.request.is_disconnected,
        )
        if query.wait_seconds:
            await _still_lets_in(gate, call)
        return Json({"events": page.events, "cursor": page.cursor}, headers={"cache-control": "no-store"})

    return [route("/api/activity", gate, {"GET": read})]


async def _still_lets_in(gate: Gate, call: Call) -> None:
    """Raises Unauthorized: the key was revoked while the request waited."""
    if await gate.account_of(call.key()) != call.account_id:
        raise Unauthorized("this API key was revoked")


def _parsed(query: Mapping[str, str]) -> _Query:
    """Raises BadRequest. A parameter that is empty counts as not given."""
    inbox = out_of_query(query.get("inbox", ""))
    return _Query(
        limit=_limit(query.get("limit", "")),
        since=query.get("since", ""),
        inbox=canonical_address(inbox, member="inbox") if inbox else "",
        wait_seconds=_wait(query.get("wait", "")),
    )


def _limit(text: str) -> int:
    if not text:
        return _DEFAULT_LIMIT
    if not _COUNT.fullmatch(text) or not 1 <= int(text) <= _MAX_LIMIT:
        raise BadRequest(f"limit must be a number from 1 to {_MAX_LIMIT}", member="limit")
    return int(text)


def _wait(text: str) -> float:
    if not text:
        return 0.0
    if not _SECONDS.fullmatch(text) or float(text) > MAX_WAIT_SECONDS:
        raise BadRequest(f"wait must be seconds, from 0 to {MAX_WAIT_SECONDS}", member="wait")
    return float(text)
