"""Who may not listen is accepted, told why in a control frame, and closed with the code of the table."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from relay.errors import CLOSES
from tests.harness import ACCOUNT, ADDRESS, DOMAIN, KEY, OTHER_ADDRESS, OTHER_KEY, QUIET_ADDRESS, SECRET, Relay

pytestmark = pytest.mark.anyio


async def refused(relay: Relay, **query: str) -> tuple[int, dict[str, Any]]:
    """The close code and the control frame before it."""
    async with connect(relay.socket_url(**query), proxy=None) as socket:
        return await told(socket)


async def told(socket: ClientConnection) -> tuple[int, dict[str, Any]]:
    frame = json.loads(await socket.recv())
    await socket.wait_closed()
    code = socket.close_code or 0
    assert socket.close_reason == CLOSES[code].reason
    assert frame["status"] == CLOSES[code].status
    assert "_id" not in frame
    return code, frame


BAD = {
    "no key": ({"addresses": ADDRESS}, 4401, "no key"),
    "empty key": ({"addresses": ADDRESS, "key": ""}, 4401, "no key"),
    "unknown key": ({"addresses": ADDRESS, "key": "guess"}, 4401, "unknown or revoked"),
    "key of nobody in another script": (
        {"addresses": ADDRESS, "key": "ключ\ud7ff\x00"},
        4401,
        "unknown or revoked",
    ),
    "key of another account": ({"addresses": ADDRESS, "key": KEY, "_id": "user2"}, 4401, "_id"),
    "no addresses": ({"key": KEY}, 4400, "no addresses"),
    "only commas": ({"key": KEY, "addresses": ",, ,"}, 4400, "no addresses"),
    "bad address": ({"key": KEY, "addresses": f"{ADDRESS},a..b@x.test"}, 4400, "a..b@x.test"),
    "bad domain": ({"key": KEY, "addresses": "not a domain"}, 4400, "not a domain"),
    "too many": (
        {"key": KEY, "addresses": ",".join(f"n{n}@mailsac.com" for n in range(129))},
        4400,
        "limit is 128",
    ),
    "bad frames": ({"key": KEY, "addresses": ADDRESS, "frames": "xml"}, 4400, "message or envelope"),
    "since": ({"key": KEY, "addresses": ADDRESS, "since": "yesterday"}, 4400, "since"),
    "another's address": ({"key": KEY, "addresses": f"{ADDRESS},{OTHER_ADDRESS}"}, 4403, OTHER_ADDRESS),
    "nobody's address": ({"key": KEY, "addresses": "nobody@mailsac.com"}, 4403, "nobody@mailsac.com"),
    "forwarding off": ({"key": KEY, "addresses": QUIET_ADDRESS}, 4403, "enablews"),
    "another's domain": ({"key": OTHER_KEY, "addresses": DOMAIN}, 4403, DOMAIN),
    "shared domain": ({"key": KEY, "addresses": "mailsac.com"}, 4403, "mailsac.com"),
}


@pytest.mark.parametrize("case", BAD)
async def test_refusal(relay: Relay, case: str) -> None:
    query, code, part = BAD[case]
    given, frame = await refused(relay, **query)
    assert given == code
    assert part in frame["error"]
    assert KEY not in frame["error"]


async def test_a_query_of_many_parameters_is_refused_unread(relay: Relay) -> None:
    async with connect(relay.socket_url(key=KEY, addresses=ADDRESS) + "&a" * 1000, proxy=None) as socket:
        code, frame = await told(socket)
    assert (code, "query is too long" in frame["error"]) == (4400, True)


async def test_each_address_that_is_not_ours_is_named(relay: Relay) -> None:
    code, frame = await refused(relay, key=KEY, addresses=f"{OTHER_ADDRESS},{QUIET_ADDRESS},{ADDRESS},x.test")
    assert code == 4403
    assert all(name in frame["error"] for name in (OTHER_ADDRESS, QUIET_ADDRESS, "x.test"))
    assert f"{ADDRESS}:" not in frame["error"]


async def test_another_accounts_address_and_a_free_one_are_refused_alike(relay: Relay) -> None:
    _, taken = await refused(relay, key=KEY, addresses=OTHER_ADDRESS)
    _, free = await refused(relay, key=KEY, addresses="nobody@mailsac.com")
    assert taken["error"].replace(OTHER_ADDRESS, "X") == free["error"].replace("nobody@mailsac.com", "X")


WAYS: dict[str, dict[str, Any]] = {
    "query": {"query": {"key": KEY}},
    "query with the account": {"query": {"key": KEY, "_id": ACCOUNT}},
    "Mailsac-Key": {"additional_headers": {"Mailsac-Key": KEY}},
    "Bearer": {"additional_headers": {"Authorization": f"Bearer {KEY}"}},
    "subprotocol": {"subprotocols": ["relay", f"relay.key.{KEY}"]},
}


@pytest.mark.parametrize("way", WAYS)
async def test_ways_to_give_the_key(relay: Relay, way: str) -> None:
    options = dict(WAYS[way])
    url = relay.socket_url(addresses=ADDRESS, **options.pop("query", {}))
    async with connect(url, proxy=None, **options) as socket:
        await relay.send("for you")
        assert json.loads(await socket.recv())["subject"] == "for you"
        assert socket.subprotocol == ("relay" if "subprotocols" in options else None)


async def test_the_key_alone_as_subprotocol_is_chosen(relay: Relay) -> None:
    """A browser that is answered with none of what it offered fails the connection, and shows no close code."""
    offered: Any = [f"relay.key.{KEY}"]
    async with connect(relay.socket_url(addresses=ADDRESS), proxy=None, subprotocols=offered) as socket:
        assert socket.subprotocol == f"relay.key.{KEY}"
        await relay.send("for you")
        assert json.loads(await socket.recv())["subject"] == "for you"
    offered = ["relay.key.wrong"]
    async with connect(relay.socket_url(addresses=ADDRESS), proxy=None, subprotocols=offered) as socket:
        await socket.wait_closed()
        assert (socket.subprotocol, socket.close_code) == ("relay.key.wrong", 4401)


async def test_case_of_addresses_does_not_matter(relay: Relay) -> None:
    async with relay.listen(ADDRESS.upper()) as socket:
        await relay.send("found", ADDRESS.title())
        assert await socket.subject() == "found"


@pytest.mark.settings(max_sockets_per_account=2)
async def test_sockets_of_an_account_are_limited(relay: Relay) -> None:
    async with relay.listen(), relay.listen(OTHER_ADDRESS, key=OTHER_KEY):
        async with relay.listen():
            code, frame = await refused(relay, key=KEY, addresses=ADDRESS)
            assert (code, frame["status"]) == (4429, 429)
        # one has left: there is room again
        async with relay.listen() as socket:
            await relay.send("room")
            assert await socket.subject() == "room"


@pytest.mark.settings(max_refusals_per_minute=3)
async def test_who_guesses_keys_is_answered_before_the_upgrade(relay: Relay) -> None:
    for _ in range(3):
        assert (await refused(relay, key="guess", addresses=ADDRESS))[0] == 4401
    with pytest.raises(InvalidStatus) as caught, capture_logs() as logs:
        await refused(relay, key="guess", addresses=ADDRESS)
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["retry-after"] == "60"
    assert [(line["event"], line["log_level"], line["client"], line["door"]) for line in logs] == [
        ("key.guessed", "warning", "127.0.0.1", "socket")
    ]
    metrics = (await relay.internal.get("/metrics")).content
    assert b'relay_socket_closes_total{code="429"} 1.0' in metrics
    assert b'relay_wrong_keys_total{door="socket"} 4.0' in metrics


@pytest.mark.settings(max_refusals_per_minute=3)
async def test_a_valid_key_passes_whoever_guesses_beside_it(relay: Relay) -> None:
    """Behind a proxy that is not trusted all clients have one address."""
    for number in range(8):
        answer = await relay.rest("GET", "/api/me", key="guess")
        assert answer.status_code == (401 if number < 3 else 429)
    with pytest.raises(InvalidStatus) as caught:  # one count for both doors
        await refused(relay, key="guess", addresses=ADDRESS)
    assert caught.value.response.status_code == 429
    assert (await relay.rest("GET", "/api/me")).status_code == 200
    async with relay.listen() as socket:
        await relay.send("let in")
        assert await socket.subject() == "let in"


@pytest.mark.settings(max_refusals_per_minute=3)
async def test_only_keys_are_counted(relay: Relay) -> None:
    """What a client with a good key asks wrongly is no guess."""
    for _ in range(6):
        assert (await refused(relay, key=KEY, addresses=OTHER_ADDRESS))[0] == 4403
        assert (await refused(relay, key=KEY, addresses="not a domain"))[0] == 4400
        assert (await relay.rest("GET", f"/api/addresses/{OTHER_ADDRESS}")).status_code in (401, 404)
    assert (await refused(relay, key="guess", addresses=ADDRESS))[0] == 4401


async def test_plain_http_is_told_that_this_is_a_websocket(relay: Relay) -> None:
    answer: httpx2.Response = await relay.http.get("/incoming-messages", params={"key": KEY, "addresses": ADDRESS})
    assert answer.status_code == 426
    assert "WebSocket" in answer.json()["error"]
    assert answer.headers["upgrade"] == "websocket"


async def test_another_path_is_told_the_right_one(relay: Relay) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://127.0.0.1:{relay.port}/sockets?key={KEY}", proxy=None):
            pass
    assert caught.value.response.status_code == 404
    assert b"/incoming-messages" in (caught.value.response.body or b"")


@pytest.mark.settings(max_addresses_per_socket=2)
async def test_the_limit_of_addresses_is_a_setting(relay: Relay) -> None:
    assert (await refused(relay, key=KEY, addresses=f"{ADDRESS},{DOMAIN},second@mailsac.com"))[0] == 4400
    async with relay.listen(f"{ADDRESS},{DOMAIN}"):
        pass


async def test_128_long_addresses_fit_into_one_url(relay: Relay) -> None:
    names = [f"{'x' * 60}{number:03}@{DOMAIN}" for number in range(128)]
    await relay.rest("POST", "/api/private-addresses-bulk", json={"addresses": names[:100]})
    await relay.rest("POST", "/api/private-addresses-bulk", json={"addresses": names[100:]})
    for name in names:
        await relay.rest("PUT", f"/api/addresses/{name}", json={"enablews": True})
    async with relay.listen(",".join(names)) as socket:
        await relay.send("last", names[-1])
        assert await socket.subject() == "last"


@pytest.mark.parametrize(("key", "code"), [(KEY, None), ("guess-of-somebody", 4401)])
async def test_a_key_alone_among_the_subprotocols_is_chosen(relay: Relay, key: str, code: int | None) -> None:
    """Else a browser ends the connection before it has seen the close code."""
    name = Subprotocol(f"relay.key.{key}")
    url = f"ws://127.0.0.1:{relay.port}/incoming-messages?addresses={ADDRESS}"
    async with connect(url, subprotocols=[name], proxy=None) as socket:
        assert socket.subprotocol == name
        if code:
            await socket.wait_closed()
            assert socket.close_code == code


async def test_a_bare_plus_in_a_query_is_a_plus(relay: Relay) -> None:
    """As people write it into a URL by hand; a form would mean a blank, which no such address has."""
    tagged = f"shop+1@{DOMAIN}"
    assert (await relay.rest("POST", f"/api/addresses/{tagged}", json={"enablews": True})).status_code == 200
    url = f"ws://127.0.0.1:{relay.port}/incoming-messages?addresses={tagged},+{ADDRESS}"
    async with connect(url, additional_headers={"mailsac-key": KEY}, proxy=None) as socket:
        headers = {"authorization": f"Bearer {SECRET}"}
        posted = await relay.http.post(
            f"/inbound/raw?to={tagged}", content=b"Subject: plus\r\n\r\n", headers=headers
        )
        assert [one["inbox"] for one in posted.json()["accepted"]] == [tagged]
        assert json.loads(await socket.recv())["subject"] == "plus"
    activity = await relay.rest("GET", f"/api/activity?inbox={tagged}")
    assert activity.status_code == 200
