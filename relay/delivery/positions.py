"""How far this process has delivered, by inbox: what the next doorbell is compared with. No network.

An inbox that somebody listens to by its address is known from the start, and for as long as somebody does. Those of a
domain are known from their first mail, until the link has been proven after it: before that mail, and after that
proof, a time is enough to find what may be missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum

from relay.address import domain_of
from relay.message_id import MessageId


class Verdict(Enum):
    """What a message is to this process."""

    NEXT = "next"
    REPEAT = "repeat"  # it was delivered
    HOLE = "hole"  # something before it may not have been delivered


class Positions:
    """The last message delivered of each inbox; None = there was none when somebody began to listen."""

    def __init__(self) -> None:
        self._inboxes: dict[str, MessageId | None] = {}
        self._domains: dict[str, dict[str, MessageId | None]] = {}  # of inboxes without an address listener
        self._proven_ms: dict[str, int] = {}  # by domain: all that came before this time was delivered

    def begin(self, inbox: str, last: MessageId | None) -> None:
        """Somebody begins to listen to an inbox, whose newest message is ``last``."""
        if inbox not in self._inboxes:
            known = self._domains.get(domain_of(inbox), {})
            self._inboxes[inbox] = known.pop(inbox, last)

    def begin_domain(self, domain: str, now_ms: int) -> None:
        """Somebody begins to listen to a domain, at this time of Redis' clock."""
        self._domains.setdefault(domain, {})
        self._proven_ms.setdefault(domain, now_ms)

    def end(self, inbox: str, *, in_domain: bool) -> None:
        """Nobody listens to the inbox any more; ``in_domain``: but to its domain."""
        last = self._inboxes.pop(inbox, None)
        if in_domain and last is not None:
            self._domains.setdefault(domain_of(inbox), {})[inbox] = last

    def end_domain(self, domain: str) -> None:
        """Nobody listens to the domain any more."""
        self._domains.pop(domain, None)
        self._proven_ms.pop(domain, None)

    def prove(self, now_ms: int) -> None:
        """Everything that came before this time of Redis' clock was delivered."""
        for domain, inboxes in list(self._domains.items()):
            self._proven_ms[domain] = max(now_ms, self._proven_ms.get(domain, 0))
            self._domains[domain] = {inbox: last for inbox, last in inboxes.items() if last and last.ms >= now_ms}

    def judge(self, inbox: str, message: MessageId) -> Verdict:
        """What a message is, by what was delivered."""
        try:
            last = self._known(inbox)[inbox]
        except KeyError:
            return Verdict.NEXT
        if last is None:
            return Verdict.NEXT if message.seq == 1 else Verdict.HOLE
        if message.continues(last):
            return Verdict.NEXT
        return Verdict.REPEAT if message.repeats(last) else Verdict.HOLE

    def advance(self, inbox: str, message: MessageId | None) -> None:
        """The message was delivered, or said to be missing; None: whatever there was is said to be missing."""
        known = self._known(inbox)
        if known is self._inboxes and inbox not in known:
            return  # nobody listens any more
        known[inbox] = message

    def knows(self, inbox: str) -> bool:
        """Whether it is known how far the inbox was delivered."""
        return inbox in self._known(inbox)

    def last(self, inbox: str) -> MessageId | None:
        """The last message delivered; None = none was, or it is not known."""
        return self._known(inbox).get(inbox)

    def inboxes(self) -> Collection[str]:
        """Those that are listened to by their address."""
        return tuple(self._inboxes)

    def domains(self) -> Iterable[tuple[str, int]]:
        """Those that are listened to as a whole, with the time up to which all was delivered."""
        return tuple(self._proven_ms.items())

    def _known(self, inbox: str) -> dict[str, MessageId | None]:
        if inbox in self._inboxes:
            return self._inboxes
        return self._domains.get(domain_of(inbox), self._inboxes)
