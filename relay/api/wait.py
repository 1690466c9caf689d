"""REST: waiting for a mail, and what came instead of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.accounts.gate import hash_key
from relay.activity import Reader
from relay.address import canonical_address, domain_of
from relay.api import listing
from relay.api.rest import Call, Json, public_path, route
from relay.delivery import since
from relay.delivery.history import After, Since
from relay.delivery.letterbox import Letterbox
from relay.errors import BadRequest, Refused, RelayError, TooManyRequests, Unauthorized, Unavailable
from relay.mailbox import Mailbox
from relay.message_id import BadMessageId, MessageId
from relay.waiting.wait import NEAR_MISSES, CheckedMail, Wait, Waiting, WaitResult
from relay.waiting.wanted import Wanted

Result = TypeVar("Result")

MAX_SECONDS = 60
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_CONDITIONS = ("subject", "from", "regex")
_OF_OTHERS = ("inbox", "from", "time", "text")
_ASKED_FOR = frozenset(("wait", "since", *_CONDITIONS))


class WaitApi:
    """The handlers."""

    def __init__(
        self, accounts: Accounts, mailbox: Mailbox, letterbox: Letterbox, waiting: Waiting, activity: Reader
    ) -> None:
        self._addresses = accounts.addresses
        self._mailbox = mailbox
        self._letterbox = letterbox
        self._waiting = waiting
        self._activity = activity

    @staticmethod
    def is_meant(call: Call) -> bool:
        """Whether a GET of messages is a wait: newest first and pages have no meaning then."""
        return not _ASKED_FOR.isdisjoint(call.request.query_params)

    async def wait(self, call: Call) -> Response:
        """200 with at most ``limit`` messages that are wanted, oldest first; 204 when none came in time."""
        asked, seconds, limit = await self._asked(call), _seconds(call), max(listing.limit(call), 1)
        try:
            found = await _unless_gone(call, self._waiting.find(asked, seconds=seconds, limit=limit))
        except Refused as refused:
            raise _as_error(refused) from refused
        if found is None:
            return Response(status_code=204)  # to nobody
        headers = _links(call, asked.inbox, found)
        if not found.mails:
            return Response(status_code=204, headers=headers)
        return Json(await self._entries(asked, found.mails), headers=headers)

    async def near_misses(self, call: Call) -> Response:
        """What came after ``since``, up to ``until``, and was not wanted; the newest, oldest first. And what came since
        then for addresses that look like this one, of which only Recent Activity knows."""
        asked = await self._asked(call)
        misses = await _unless_gone(call, self._waiting.near_misses(asked, _until(call))) or ()
        entries = await self._entries(asked, misses)
        by_id = {str(miss.id): miss for miss in misses}
        shown = [{**entry, **_as_json(by_id[entry["_id"]], asked.wanted)} for entry in entries]
        # A key for one address is told nothing of the others.
        others = () if call.rights.scope.address else await self._others(call, asked)
        told = [{name: event[name] for name in _OF_OTHERS if name in event} for event in others]
        return Json({"inbox": asked.inbox, "nearMisses": shown, "otherAddresses": told})

    async def _others(self, call: Call, asked: Wait) -> Sequence[Mapping[str, Any]]:
        since_ms = _begins_ms(asked)
        return await self._activity.near_misses(call.account_id, asked.inbox, since_ms=since_ms, limit=NEAR_MISSES)

    async def _entries(self, asked: Wait, mails: Sequence[CheckedMail]) -> list[dict[str, Any]]:
        frames = [mail.frame for mail in mails]
        return [entry.members for entry in await self._mailbox.entries(asked.account_id, asked.inbox, frames)]

    async def _asked(self, call: Call) -> Wait:
        inbox = canonical_address(call.path("email"), member="email")
        given = call.request.query_params
        wanted = Wanted.of(given.get("subject", ""), given.get("from", ""), given.get("regex", ""))
        start = await self._start(inbox, given.getlist("since"))
        await self._mailbox.check(call.account_id, inbox)
        reservation = await self._addresses.get(call.account_id, inbox)
        if reservation.owner and not reservation.enablews:
            raise BadRequest(
                f"nothing comes for {inbox}: its forwarding is off; switch it on with PUT /api/addresses/{inbox}"
                ' {"enablews": true}',
                member="email",
            )
        domain = "" if reservation.owner else domain_of(inbox)
        return Wait(call.account_id, hash_key(call.key()), inbox, domain, start, wanted)

    async def _start(self, inbox: str, values: Sequence[str]) -> Any:
        now_ms = await self._letterbox.now_ms()
        try:
            resume = since.parse(values, [inbox], whole_domains=False, now_ms=now_ms)
        except since.BadSince as error:
            raise BadRequest(str(error), member="since") from None
        return resume.start(inbox) if resume else Since(0)


def routes(accounts: Accounts, api: WaitApi) -> list[Route]:
    """The paths of this noun that are not one of the messages'."""
    return [route("/api/addresses/{email:email}/near-misses", accounts.gate, {"GET": api.near_misses})]


def _seconds(call: Call) -> float:
    given = call.request.query_params.get("wait", "0")
    if not _SECONDS.fullmatch(given) or float(given) > MAX_SECONDS:
        raise BadRequest(f"wait is 0 to {MAX_SECONDS} seconds; for longer, ask again with since", member="wait")
    return float(given)


def _begins_ms(asked: Wait) -> int:
    """Unix time from which on mail counts."""
    return asked.start.message.ms if isinstance(asked.start, After) else asked.start.ms


def _until(call: Call) -> MessageId | None:
    given = call.request.query_params.get("until", "")
    try:
        return MessageId.parse(given) if given else None
    except BadMessageId as error:
        raise BadRequest(f"until is {error}", member="until") from None


async def _unless_gone(call: Call, work: Coroutine[Any, Any, Result]) -> Result | None:
    """What the work returns; None when the client has hung up: then it is ended, for nobody is left to wait for it."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(call.gone())
    try:
        await asyncio.wait([working, gone], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, gone):
            task.cancel()
            with suppress(asyncio.CancelledError, RelayError, Refused):
                await task


def _as_error(refused: Refused) -> RelayError:
    match refused.close.status:
        case 401 | 403:
            return Unauthorized(refused.text)
        case 429:
            return TooManyRequests(refused.text)
        case _:
            return Unavailable(refused.text)


def _links(call: Call, inbox: str, found: WaitResult) -> Mapping[str, str]:
    """RFC 8288: where to ask next, and what came instead. Without the key, which a query may hold."""
    given = call.request.query_params
    conditions = {name: given[name] for name in _CONDITIONS if given.get(name)}
    path = public_path(call, f"/api/addresses/{quote(inbox, safe='@')}")
    links = []
    reached = str(found.reached) if found.reached else ""
    if reached:
        query = urlencode({"wait": given.get("wait", "0"), "since": reached, **conditions})
        links.append(f'<{path}/messages?{query}>; rel="next"')
    if not found.mails:
        span = {"since": ",".join(given.getlist("since")), "until": reached}
        query = urlencode({**{name: value for name, value in span.items() if value}, **conditions})
        links.append(f'<{path}/near-misses{"?" if query else ""}{query}>; rel="near-misses"')
    return {"link": ", ".join(links), **({"relay-cursor": reached} if reached else {})}


def _as_json(miss: CheckedMail, wanted: Wanted) -> dict[str, Any]:
    differs = " and ".join(miss.differs)
    return {
        "differs": miss.differs,
        "text": f"arrived, but: {differs} {'differs' if len(miss.differs) == 1 else 'differ'}",
    }
