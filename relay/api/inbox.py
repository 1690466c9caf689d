"""REST: messages of many inboxes at once: of an account, and of a domain."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.address import canonical_domain
from relay.api import listing
from relay.api.rest import Call, route
from relay.errors import BadRequest
from relay.fair import FairQueue
from relay.mailbox import Mailbox, MessageSummary, Wanted

_FOUND = 100  # messages that a search answers, as Mailsac's
_TEXT_LIMIT = 200  # characters


class InboxApi:
    """The handlers; each answers as the table in the reference says, or raises RelayError."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def inbox(self, call: Call) -> Response:
        limits = {"limit": listing.limit(call), "skip": listing.skip(call)}
        since_ms = listing.time_ms(call, "since") or 0
        found, counts = await self._mailbox.overview(call.account_id, since_ms=since_ms, **limits)
        return listing.answer({"messages": listing.shown(found), "unread": counts.unread, **limits}, found)

    async def search(self, call: Call) -> Response:
        text = _text(call, "query")
        if not text:
            raise BadRequest("query is the text to look for in from, to and subject", member="query")
        found = await self._mailbox.search(call.account_id, _any_holds(text), limit=_FOUND)
        return listing.answer({"query": text, "messages": listing.shown(found)}, found)

    async def filter(self, call: Call) -> Response:
        to, sender, subject = (_text(call, name) for name in ("andTo", "andFrom", "andSubjectIncludes"))
        if not (to or sender or subject):
            raise BadRequest("give at least one of andTo, andFrom and andSubjectIncludes")
        found = await self._mailbox.search(call.account_id, _all_hold(to, sender, subject), limit=_FOUND)
        return listing.answer({"messages": listing.shown(found)}, found)

    async def domain(self, call: Call) -> Response:
        limits = {"limit": listing.limit(call), "skip": listing.skip(call)}
        wanted, before = listing.until(call), listing.before(call)
        found = await self._mailbox.list_domain(
            call.account_id, _name(call), wanted=wanted, before=before, **limits
        )
        return listing.answer(listing.shown(found), found)

    async def empty_domain(self, call: Call) -> Response:
        # Mailsac's own pages contradict each other about starred messages; what is kept can still be deleted.
        await self._mailbox.changes.delete_domain(call.account_id, _name(call))
        return Response(status_code=204)


def routes(accounts: Accounts, mailbox: Mailbox, wide: FairQueue) -> list[Route]:
    """The paths of this noun, for app.py."""
    api, gate = InboxApi(mailbox), accounts.gate
    return [
        route("/api/inbox", gate, {"GET": api.inbox}, queue=wide),
        route("/api/inbox-search", gate, {"GET": api.search}, queue=wide),
        route("/api/inbox-filter", gate, {"GET": api.filter}, queue=wide),
        route("/api/domains/{domain}/messages", gate, {"GET": api.domain}, queue=wide),
        route("/api/domains/{domain}/delete-all-domain-mail", gate, {"POST": api.empty_domain}, queue=wide),
    ]


def _name(call: Call) -> str:
    return canonical_domain(call.path("domain"), member="domain")


def _text(call: Call, name: str) -> str:
    text = call.request.query_params.get(name, "").strip()
    if len(text) > _TEXT_LIMIT:
        raise BadRequest(f"{name} is at most {_TEXT_LIMIT} characters", member=name)
    return text


def _any_holds(text: str) -> Wanted:
    def wanted(entry: MessageSummary) -> bool:
        return any(listing.holds(entry, member, text) for member in ("to", "from", "subject", "inbox"))

    return wanted


def _all_hold(to: str, sender: str, subject: str) -> Wanted:
    def wanted(entry: MessageSummary) -> bool:
        return (
            (not to or listing.holds(entry, "to", to) or entry.inbox == to.lower())
            and (not sender or listing.holds(entry, "from", sender))
            and listing.holds(entry, "subject", subject)
        )

    return wanted
