"""How far a process has delivered, and what a message is to it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.positions import Positions, Verdict
from relay.message_id import BadMessageId, MessageId

INBOX, DOMAIN = "a@x.test", "x.test"
HISTORY, OTHER = "0123456789abcdef", "0123456789000000"


def message(seq: int, ms: int = 0, history: str = HISTORY) -> MessageId:
    return MessageId(history, ms or 1000 + seq, seq)


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        (message(6), Verdict.NEXT),
        (message(5), Verdict.REPEAT),
        (message(1), Verdict.REPEAT),
        (message(7), Verdict.HOLE),
        (message(5, ms=2000), Verdict.HOLE),  # Redis counts again what it lost
        (message(6, ms=1), Verdict.HOLE),
        (message(1, history=OTHER), Verdict.HOLE),
        (message(6, history=OTHER), Verdict.HOLE),
    ],
)
def test_an_inbox_of_which_a_message_was_delivered(new: MessageId, verdict: Verdict) -> None:
    positions = Positions()
    positions.begin(INBOX, message(4))
    positions.advance(INBOX, message(5))
    assert positions.judge(INBOX, new) is verdict


def test_an_inbox_without_mail_begins_with_the_first() -> None:
    positions = Positions()
    positions.begin(INBOX, None)
    assert positions.judge(INBOX, message(1)) is Verdict.NEXT
    assert positions.judge(INBOX, message(2)) is Verdict.HOLE


def test_who_comes_second_does_not_set_the_first_back() -> None:
    positions = Positions()
    positions.begin(INBOX, message(4))
    positions.advance(INBOX, message(5))
    positions.begin(INBOX, message(4))
    assert positions.last(INBOX) == message(5)


def test_inboxes_of_a_domain_are_known_until_the_link_is_proven() -> None:
    positions = Positions()
    positions.begin_domain(DOMAIN, 1000)
    assert positions.judge(INBOX, message(7)) is Verdict.NEXT
    positions.advance(INBOX, message(7, ms=1500))
    assert positions.judge(INBOX, message(7, ms=1500)) is Verdict.REPEAT
    positions.prove(1500)
    assert positions.last(INBOX) == message(7, ms=1500)  # of that very millisecond: could be read again
    positions.prove(1501)
    assert not positions.knows(INBOX)
    assert list(positions.domains()) == [(DOMAIN, 1501)]


def test_an_inbox_that_only_its_domain_is_listened_to_any_more_keeps_its_place() -> None:
    positions = Positions()
    positions.begin_domain(DOMAIN, 1000)
    positions.begin(INBOX, message(4))
    positions.end(INBOX, in_domain=True)
    assert positions.last(INBOX) == message(4)
    positions.begin(INBOX, message(9))
    assert positions.last(INBOX) == message(4)
    positions.end(INBOX, in_domain=False)
    positions.end_domain(DOMAIN)
    assert not positions.knows(INBOX)
    positions.advance(INBOX, message(5))
    assert not positions.knows(INBOX)


@given(st.integers(0, 10**15 - 1), st.integers(0, 10**15 - 1), st.from_regex(r"[0-9a-f]{16}", fullmatch=True))
def test_an_id_is_read_as_it_was_written(ms: int, seq: int, history: str) -> None:
    written = MessageId(history, ms, seq)
    assert MessageId.parse(str(written)) == written


@given(st.text())
def test_any_text_is_an_id_or_refused(text: str) -> None:
    with contextlib.suppress(BadMessageId):
        assert str(MessageId.parse(text)).split("-")[0] == text[:16]
