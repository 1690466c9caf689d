"""REST that is dear: accounts take turns at it, and what waits is bounded; by a whole relay."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import MutableMapping
from typing import Any

import httpx2
import pytest

from relay.accounts import Accounts
from relay.fair import WAITING_OF_ACCOUNT
from relay.mailbox import Mailbox
from relay.mailbox.inboxes import Inboxes
from relay.service.app import Service
from tests.api.conftest import ANN_KEY
from tests.harness import ACCOUNT, ADDRESS, KEY, OTHER_ACCOUNT, OTHER_ADDRESS, OTHER_KEY, Relay

pytestmark = pytest.mark.anyio


class Held:
    """A method that the work at each turn begins with: it waits, and it is counted who is in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: type, method: str) -> None:
        self.most = Counter[str]()
        self.open = asyncio.Event()
        self._inside = Counter[str]()
        self._came = defaultdict[str, asyncio.Event](asyncio.Event)
        original = getattr(room, method)

        async def held(this: Any, account_id: str, *args: Any) -> Any:
            self._inside[account_id] += 1
            self.most |= self._inside
            self._came[account_id].set()
            await self.open.wait()
            self._inside[account_id] -= 1
            return await original(this, account_id, *args)

        monkeypatch.setattr(room, method, held)

    async def until_in(self, account_id: str) -> None:
        await self._came[account_id].wait()


@pytest.mark.parametrize(
    ("path", "begins", "most"),
    [
        ("/api/addresses/{email}/messages/{id}/headers", (Mailbox, "letter"), 1),
        ("/api/addresses/{email}/messages/{id}", (Mailbox, "entry"), 1),
        ("/api/inbox-search?query=x", (Inboxes, "of_account"), 2),
    ],
)
async def test_one_account_leaves_room_for_another(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, path: str, begins: tuple[type, str], most: int
) -> None:
    mine = path.format(email=ADDRESS, id=await relay.send("mine"))
    others = path.format(email=OTHER_ADDRESS, id=await relay.send("others", OTHER_ADDRESS))
    held = Held(monkeypatch, *begins)
    hog = [asyncio.create_task(relay.rest("GET", mine)) for _ in range(8)]
    await held.until_in(ACCOUNT)
    other = asyncio.create_task(relay.rest("GET", others, key=OTHER_KEY))
    await held.until_in(OTHER_ACCOUNT)
    held.open.set()
    answers = await asyncio.gather(*hog, other)
    assert [answer.status_code for answer in answers] == [200] * 9
    assert held.most[ACCOUNT] == most


async def test_a_line_that_is_full(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/api/raw/{ADDRESS}/{await relay.send('mine')}"
    held = Held(monkeypatch, Mailbox, "letter")
    first = asyncio.create_task(relay.rest("GET", path))
    await held.until_in(ACCOUNT)
    limits = httpx2.Limits(max_connections=None)
    headers = {"mailsac-key": KEY}
    async with httpx2.AsyncClient(base_url=relay.url, headers=headers, limits=limits, verify=False) as client:
        line = {asyncio.create_task(client.get(path)) for _ in range(WAITING_OF_ACCOUNT + 1)}
        done, line = await asyncio.wait(line, return_when=asyncio.FIRST_COMPLETED)
        held.open.set()
        assert {one.status_code for one in await asyncio.gather(first, *line)} == {200}
    [refused] = [one.result() for one in done]
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert refused.json()["error"] == refused.json()["message"]
    assert "100 requests of this account wait" in refused.json()["message"]


async def test_who_hangs_up_leaves_the_line(
    service: Service, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, Mailbox, "letter")
    path = f"/api/raw/a@mailsac.com/{'0' * 16}-1-1"
    first = asyncio.create_task(asked(service, path, asyncio.Event()))
    await held.until_in("ann")
    hung_up = asyncio.Event()
    hung_up.set()
    assert await asked(service, path, hung_up) == 400  # which nobody reads
    held.open.set()
    assert await first == 401


async def asked(service: Service, path: str, hung_up: asyncio.Event) -> int:
    """The status of an answer to ann, by the application without a server."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(piece: MutableMapping[str, Any]) -> None:
        sent.append(piece)

    headers = [(b"mailsac-key", ANN_KEY.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    await service.app(scope, receive, send)
    return int(sent[0]["status"])
