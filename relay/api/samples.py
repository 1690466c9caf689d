"""REST: a sample mail to an address of one's own, by the way that all mail takes."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.routing import Route

from relay import mime
from relay.accounts import Accounts
from relay.address import canonical_address, domain_of
from relay.api import sample_mail
from relay.api.rest import Body, Call, route
from relay.errors import TooManyRequests, Unauthorized
from relay.inbound.intake import Intake
from relay.inbound.webhook.provider import (
    ANSWERS,
    Answers,
    Delivery,
    Post,
)

MAX_PER_MINUTE = 30  # of one account in one process: enough for whoever presses a button
_WINDOW_SECONDS = 60.0
_MAX_ACCOUNTS = 10_000  # the longest silent is forgotten first


class Nothing(Body):
    """The sample is ours to write."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """The provider ``sample``: no webhook, but the rest of the way is that of all providers."""

    recipient: str
    name: str = "sample"
    answers: Answers = ANSWERS

    def body_limit(self, max_message_bytes: int) -> int:
        """The body is the mail."""
        return max_message_bytes

    def verify(self, post: Post) -> None:
        """The key of the call was the proof."""

    def parse(self, post: Post) -> Sequence[Delivery]:
        """One mail, never taken for one that came before: no event."""
        return [Delivery((self.recipient,), post.body, mime.parse(post.body), post.received)]


class _Allowance:
    """How many samples each account had of late, in windows of a minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._accounts: OrderedDict[str, tuple[float, int]] = OrderedDict()  # id -> window's start, count

    def take(self, account_id: str) -> None:
        """Counts one more. Raises TooManyRequests."""
        now = self._clock()
        start, count = self._accounts.get(account_id, (now, 0))
        if now - start >= _WINDOW_SECONDS:
            start, count = now, 0
        if count >= MAX_PER_MINUTE:
            raise TooManyRequests(f"{MAX_PER_MINUTE} sample mails a minute are enough; wait one, and go on")
        self._accounts[account_id] = (start, count + 1)
        self._accounts.move_to_end(account_id)
        if len(self._accounts) > _MAX_ACCOUNTS:
            self._accounts.popitem(last=False)


class SampleApi:
    """The handler. Its answer is that of the doors for providers."""

    def __init__(self, accounts: Accounts, intake: Intake, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._intake = intake
        self._allowance = _Allowance(clock)

    async def send(self, call: Call) -> Response:
        call.body(Nothing)
        address = canonical_address(call.path("email"), member="email")
        await self._check_mine(call.account_id, address)
        self._allowance.take(call.account_id)
        now = datetime.now(UTC)
        post = Post(Headers(), QueryParams(), sample_mail.build(address, now), now)
        report = await self._intake.take(_Sample(address), post, proven=True)
        return Response(report.answer(), media_type="application/json")

    async def _check_mine(self, account_id: str, address: str) -> None:
        """Reserved by the account, or by nobody on a domain of its own. Raises Unauthorized, which tells no more."""
        try:
            owner = (await self._accounts.addresses.get(account_id, address)).owner
        except Unauthorized:
            raise _not_mine(address) from None
        if owner:
            return
        domains = await self._accounts.domains.list(account_id)
        if domain_of(address) not in {domain.name for domain in domains if domain.verified}:
            raise _not_mine(address)


def _not_mine(address: str) -> Unauthorized:
    return Unauthorized(f"{address} is not an address of this account; reserve it first")


def routes(accounts: Accounts, intake: Intake) -> list[Route]:
    """The path of this noun, for app.py."""
    api = SampleApi(accounts, intake)
    return [route("/api/addresses/{email:email}/sample", accounts.gate, {"POST": api.send})]
