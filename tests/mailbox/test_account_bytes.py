"""What an account keeps altogether has a limit: its oldest mail makes room, and everybody is told."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from tests import harness
from tests.harness import ACCOUNTS_TOML, ADDRESS, KEY, OTHER_ADDRESS, OTHER_KEY, Relay

pytestmark = pytest.mark.anyio

SECOND = "second@mailsac.com"
_MIB = 1024 * 1024
_RANDOM = random.Random(1)


def _mail(subject: str) -> bytes:
    """Of 64 KiB; as it is kept it has some 38: random digits shrink to little more than half."""
    return b"Subject: %b\r\n\r\n%b\r\n" % (subject.encode(), _RANDOM.randbytes(32 * 1024).hex().encode())


async def _post(relay: Relay, count: int, *addresses: str) -> list[str]:
    """``_id`` of mails to the addresses in turn."""
    ids = []
    for number in range(count):
        answer = await relay.post(_mail(str(number)), addresses[number % len(addresses)])
        assert answer.status_code == 200, answer.text
        ids.append(answer.json()["accepted"][0]["_id"])
    return ids


async def _kept(relay: Relay, *addresses: str, key: str = KEY) -> dict[str, int]:
    """Bytes of what the mails had, by ``_id``."""
    found: dict[str, int] = {}
    for address in addresses:
        listed = await relay.rest("GET", f"/api/addresses/{address}/messages?limit=1000", key=key)
        found |= {one["_id"]: one["size"] for one in listed.json()}
    return found


@pytest.mark.settings(account_bytes=2 * _MIB)
async def test_the_oldest_of_all_inboxes_make_room(relay: Relay) -> None:
    ids = await _post(relay, 150, ADDRESS, SECOND)
    kept = await _kept(relay, ADDRESS, SECOND)
    assert set(kept) == set(ids[-len(kept) :])  # the newest, whichever inbox they are in
    assert 20 < len(kept) < 80
    async with relay.listen(since=ids[0]) as socket:
        gap: dict[str, Any] = await socket.message()
    assert gap["reason"] == "trimmed"
    events = (await relay.rest("GET", "/api/activity?limit=1000")).json()["events"]
    told = [event for event in events if event["kind"] == "trimmed"]
    assert told
    assert "made room: the account keeps at most 2.0 MiB" in told[0]["text"]
    metrics = (await relay.internal.get("/metrics")).text
    assert f"relay_trimmed_total {float(150 - len(kept))}" in metrics


@pytest.mark.settings(account_bytes=2 * _MIB)
async def test_another_account_loses_nothing(relay: Relay) -> None:
    [other] = await _post(relay, 1, OTHER_ADDRESS)
    await _post(relay, 100, ADDRESS)
    assert list(await _kept(relay, OTHER_ADDRESS, key=OTHER_KEY)) == [other]


@pytest.mark.settings(account_bytes=2 * _MIB)
async def test_starred_mail_stays_and_counts(relay: Relay) -> None:
    few = await _post(relay, 25, SECOND)
    for message_id in few:
        starred = await relay.rest("PUT", f"/api/addresses/{SECOND}/messages/{message_id}/star")
        assert starred.status_code == 200
    await _post(relay, 100, ADDRESS)
    starred = await relay.rest("GET", "/api/addresses/starred/messages?limit=100")
    assert {one["_id"] for one in starred.json()} == set(few)
    assert 5 < len(await _kept(relay, ADDRESS)) < 35  # without the stars it would be more than 45


async def test_an_account_may_have_a_limit_of_its_own(redis_url: str, tmp_path: Path) -> None:
    accounts = ACCOUNTS_TOML.replace("address_credits = 1000", f"address_credits = 1000\naccount_bytes = {_MIB}")
    await asyncio.to_thread((tmp_path / "accounts.toml").write_text, accounts)
    async with harness.relay(redis_url, tmp_path) as relay:
        await _post(relay, 80, ADDRESS)
        assert 10 < len(await _kept(relay, ADDRESS)) < 40
