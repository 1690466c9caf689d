"""What became of the mails of a bad day: the numbers that a test asserts and that ``make chaos`` prints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.bad_days.posting import Mail, Poster
from tests.bad_days.record import Record


@dataclass(frozen=True, slots=True)
class Tally:
    """``posted`` and ``accepted`` count mails, the others what the listeners got of them, all added up."""

    posted: int
    accepted: int  # answered 200
    received: int  # a mail that was answered with an error may have been stored, and is received all the same
    lost: int  # accepted, not received, and no gap said so
    repeated: int  # received once more
    gaps: int  # gap frames


class Disordered(AssertionError):
    """A listener got a mail before one that came earlier."""


def count(poster: Poster, listeners: Iterable[Record]) -> Tally:
    """The tally of what was posted until now; each listener should have everything for its addresses.

    Raises Disordered.
    """
    received = lost = repeated = gaps = 0
    for listener in listeners:
        if listener.disordered:
            raise Disordered(f"{len(listener.disordered)} out of order, first {listener.disordered[0]}")
        tokens = listener.tokens()
        received += len(tokens)
        repeated += sum(tokens.values()) - len(tokens)
        gaps += len(listener.gaps)
        lost += sum(_lost(mail, listener) for mail in poster.mails)
    return Tally(len(poster.mails), poster.accepted, received, lost, repeated, gaps)


def _lost(mail: Mail, listener: Record) -> bool:
    if not mail.accepted or not listener.wants(mail.inbox) or mail.token in listener.tokens():
        return False
    return mail.id is None or not any(gap.covers(mail.id) for gap in listener.gaps)
