"""An account with more inboxes than are looked at: what is not looked at may have newer mail, so it is said."""

from __future__ import annotations

import pytest

from relay.mailbox import Mailbox
from tests.harness import ACCOUNT, ADDRESS, QUIET_ADDRESS, Relay

pytestmark = pytest.mark.anyio

SECOND = "second@mailsac.com"  # the account has three addresses


def _mailbox(relay: Relay, most_inboxes: int) -> Mailbox:
    service = relay.process.service
    return Mailbox(
        service.store,
        service.settings.retention,
        starred_messages=10,
        starred_bytes=1024 * 1024,
        most_inboxes=most_inboxes,
    )


@pytest.mark.parametrize(("most", "whole"), [(2, False), (3, True), (4, True)])
async def test_a_full_page_may_lack_mail_of_addresses_that_were_not_looked_at(
    relay: Relay, most: int, *, whole: bool
) -> None:
    await relay.send("one", ADDRESS)
    await relay.send("two", SECOND)
    assert (await relay.rest("GET", f"/api/addresses/{QUIET_ADDRESS}")).status_code == 200
    listing = await _mailbox(relay, most).search(ACCOUNT, lambda _entry: True, limit=1)
    assert (len(listing.entries), listing.whole) == (1, whole)
