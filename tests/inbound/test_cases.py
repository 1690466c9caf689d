"""Every case of every sender (cases.py says what a case is), through ``verify`` and ``parse``."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from relay.errors import RelayError
from relay.inbound.webhook.provider import (
    Delivery,
    Fetch,
    Sender,
    Unreadable,
)
from tests.inbound.cases import Case, cases, seen

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.sender}-{case.name}")
def test_case(case: Case) -> None:
    sender = case.taker()
    expected = case.expected
    if "refused" in expected:
        with pytest.raises(RelayError) as refusal:
            _deliveries(sender, case)
        assert type(refusal.value).__name__ == expected["refused"]
        assert expected.get("why", "") in str(refusal.value)
        return
    deliveries = _deliveries(sender, case)
    assert [seen(sender, one, mail) for one, mail in zip(deliveries, expected["mails"], strict=True)] == expected[
        "mails"
    ]


def _deliveries(sender: Sender, case: Case) -> Sequence[Delivery | Fetch | Unreadable]:
    post = case.post()
    sender.verify(post)
    return sender.parse(post)
