"""Every case of every provider (cases.py says what a case is), through ``verify`` and ``parse``."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from relay.errors import RelayError
from relay.inbound.webhook.provider import (
    Delivery,
    Fetch,
    Provider,
    Unreadable,
)
from tests.inbound.cases import Case, cases, seen

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.provider}-{case.name}")
def test_case(case: Case) -> None:
    provider = case.taker()
    expected = case.expected
    if "refused" in expected:
        with pytest.raises(RelayError) as refusal:
            _deliveries(provider, case)
        assert type(refusal.value).__name__ == expected["refused"]
        assert expected.get("why", "") in str(refusal.value)
        return
    deliveries = _deliveries(provider, case)
    assert [
        seen(provider, one, mail) for one, mail in zip(deliveries, expected["mails"], strict=True)
    ] == expected["mails"]


def _deliveries(provider: Provider, case: Case) -> Sequence[Delivery | Fetch | Unreadable]:
    post = case.post()
    provider.verify(post)
    return provider.parse(post)
