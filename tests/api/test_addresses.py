"""REST of addresses: paths, shapes and statuses as Mailsac's clients know them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import httpx2
import pytest

from relay.accounts import Accounts
from relay.address import canonical_address
from relay.api.chunked_response import ResponseMemory, StreamedResponse
from relay.errors import TooManyRequests, Unavailable
from relay.store import Store, keys
from relay.store.notices import Kind, Notice
from tests.accounts.control import listen
from tests.api.conftest import ANN_KEY

pytestmark = pytest.mark.anyio

USER1 = "user1@mailsac.com"
PATH = f"/api/addresses/{USER1}"
OBJECT = {
    "_id": USER1,
    "owner": "ann",
    "info": "",
    "enablews": False,
    "forward": "",
    "webhook": "",
    "webhookSlack": "",
    "webhookSlackToFrom": False,
    "catchAll": None,
    "password": None,
    "encryptedInbox": None,
}


def _without_times(shown: dict[str, Any]) -> dict[str, Any]:
    for name in ("created", "updated"):
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown.pop(name))
    return shown


async def test_the_two_commands_of_the_documentation_work_to_the_letter(anonymous: httpx2.AsyncClient) -> None:
    # curl -X POST -H "Mailsac-Key: YOUR_API_KEY_HERE" https://mailsac.com/api/addresses/user1@mailsac.com
    reserved = await anonymous.post(PATH, headers={"Mailsac-Key": ANN_KEY})
    assert (reserved.status_code, _without_times(reserved.json())) == (200, OBJECT)
    # curl -H 'Mailsac-Key: YOUR_API_KEY_HERE' -X PUT
    #   https://mailsac.com/api/private-address-forwarding/user1@mailsac.com -d '{"enablews": true}'
    changed = await anonymous.put(
        f"/api/private-address-forwarding/{USER1}",
        headers={"Mailsac-Key": ANN_KEY, "Content-Type": "application/x-www-form-urlencoded"},
        content=b'{"enablews": true}',
    )
    assert (changed.status_code, _without_times(changed.json())) == (200, OBJECT | {"enablews": True})
    assert changed.headers["content-type"] == "application/json"


async def test_the_list_has_the_own_addresses(ann: httpx2.AsyncClient, bob: httpx2.AsyncClient) -> None:
    assert (await ann.get("/api/addresses")).json() == []
    objects = [(await ann.post(f"/api/addresses/{name}@mailsac.com")).json() for name in ("a", "b")]
    assert (await ann.get("/api/addresses")).json() == objects
    assert (await bob.get("/api/addresses")).json() == []


async def _reserved(accounts: Accounts, count: int) -> list[str]:
    """So many addresses of ann, in alphabetical order."""
    names = [f"u{number}@mailsac.com" for number in range(count)]
    await accounts.addresses.declare_all("ann", dict.fromkeys(names, True))
    return sorted(names)


def _ids(answer: httpx2.Response) -> list[str]:
    return [shown["_id"] for shown in answer.json()]


async def test_a_list_may_be_asked_for_in_pages(ann: httpx2.AsyncClient, accounts: Accounts) -> None:
    names = await _reserved(accounts, 25)
    path, pages = "/api/addresses?limit=10", list[list[str]]()
    while path:
        answer = await ann.get(path)
        pages.append(_ids(answer))
        path = answer.links.get("next", {}).get("url", "")
    assert pages == [names[:10], names[10:20], names[20:]]


async def test_a_page_that_ends_the_list_names_no_next(ann: httpx2.AsyncClient, accounts: Accounts) -> None:
    names = await _reserved(accounts, 20)
    answer = await ann.get("/api/addresses", params={"limit": 10, "skip": 10})
    assert (_ids(answer), answer.headers.get("link")) == (names[10:], None)
    for query in ({"limit": 10, "skip": 20}, {"limit": 0}, {"limit": 1000, "skip": 1_000_000}):
        answer = await ann.get("/api/addresses", params=query)
        assert (answer.json(), answer.headers.get("link")) == ([], None)


async def test_the_next_page_is_named_without_the_key(ann: httpx2.AsyncClient, accounts: Accounts) -> None:
    await _reserved(accounts, 3)
    answer = await ann.get(f"/api/addresses?limit=2&_mailsacKey={ANN_KEY}")
    assert answer.headers["link"] == '</api/addresses?limit=2&skip=2>; rel="next"'


@pytest.mark.parametrize("query", [{"skip": 3}, {"skip": 3, "limit": ""}])
async def test_without_a_limit_all_the_rest_is_listed(
    ann: httpx2.AsyncClient, accounts: Accounts, query: dict[str, Any]
) -> None:
    names = await _reserved(accounts, 30)
    answer = await ann.get("/api/addresses", params=query)
    assert (_ids(answer), answer.headers.get("link")) == (names[3:], None)


@pytest.mark.parametrize(
    ("query", "member"),
    [
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("skip=1000001", "skip"),
        ("skip=x", "skip"),
    ],
)
async def test_what_is_no_page_is_refused(ann: httpx2.AsyncClient, query: str, member: str) -> None:
    answer = await ann.get(f"/api/addresses?{query}")
    assert answer.status_code == 400
    assert answer.json()["validationErrors"][0].startswith(f"{member}: {member} is a number from 0 to ")


async def test_places_that_nobody_claimed_make_no_hole_in_a_page(
    ann: httpx2.AsyncClient, accounts: Accounts, store: Store
) -> None:
    names = await _reserved(accounts, 9)
    for name, when_ms in ((names[1], 1), (names[2], 4_000_000_000_000)):  # left over long ago; under way
        await store.ask(("DEL", keys.address(name)), ("ZADD", keys.account_addresses("ann"), when_ms, name))
    first = await ann.get("/api/addresses?limit=3")
    assert _ids(first) == [names[0], *names[3:5]]
    assert _ids(await ann.get(first.links["next"]["url"])) == names[5:8]


async def test_a_long_list_is_streamed_and_is_whole(ann: httpx2.AsyncClient, accounts: Accounts) -> None:
    names = await _reserved(accounts, 1_100)
    async with ann.stream("GET", "/api/addresses") as answer:
        assert "content-length" not in answer.headers
        pieces = [piece async for piece in answer.aiter_raw()]
    shown = json.loads(b"".join(pieces))
    assert [one["_id"] for one in shown] == names
    assert shown[7] == (await ann.get(f"/api/addresses/{names[7]}")).json()
    skipped = await ann.get("/api/addresses", params={"skip": 1_100})
    assert skipped.json() == []


async def test_a_list_of_one_moment_is_read_to_its_end(
    ann: httpx2.AsyncClient, accounts: Accounts, store: Store
) -> None:
    """Older versions gave many places the same time."""
    names = await _reserved(accounts, 2_500)
    await store.ask(("ZADD", keys.account_addresses("ann"), *(part for name in names for part in (1, name))))
    assert _ids(await ann.get("/api/addresses?limit=1000&skip=1500")) == names[1500:]


async def test_who_is_not_read_is_left_and_a_list_that_breaks_off_is_not_whole() -> None:
    sent = list[MutableMapping[str, Any]]()

    async def broken() -> AsyncGenerator[bytes]:
        yield b"[1"
        raise Unavailable("Redis is away")

    async def long() -> AsyncGenerator[bytes]:
        while True:
            yield b"[1"

    async def send(piece: MutableMapping[str, Any]) -> None:
        sent.append(piece)
        if len(sent) > 5:
            await asyncio.Event().wait()

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("there is no body to read")

    unread = ResponseMemory(per_account=100)
    for pieces, count in ((broken(), 2), (long(), 6)):
        sent.clear()
        kept: dict[str, Any] = {"account_id": "ann", "held_bytes": 60, "unread": unread, "piece_seconds": 0.01}
        await StreamedResponse(pieces, "application/json", **kept)({"type": "http"}, receive, send)
        assert len(sent) == count
        assert sent[-1]["more_body"]  # so that the server cuts the connection
        unread.check("ann", 1_000)  # nothing is held any more
    with unread.hold("ann", 60), pytest.raises(TooManyRequests):
        await StreamedResponse(long(), "application/json", **kept)({"type": "http"}, receive, send)


async def test_get_shows_the_own_and_the_free_and_hides_the_others(
    ann: httpx2.AsyncClient, bob: httpx2.AsyncClient
) -> None:
    free = await ann.get(PATH)
    assert free.status_code == 200
    assert "owner" not in free.json()
    assert (free.json()["_id"], free.json()["created"]) == (USER1, None)
    reserved = (await ann.post(PATH, json={"info": "mine"})).json()
    assert (await ann.get(PATH)).json() == reserved
    hidden = await bob.get(PATH)
    assert hidden.status_code == 401
    assert "ann" not in hidden.text
    assert "mine" not in hidden.text


async def test_another_accounts_address_is_401_for_every_call(
    ann: httpx2.AsyncClient, bob: httpx2.AsyncClient
) -> None:
    await ann.post(PATH)
    for method in ("GET", "POST", "PUT", "DELETE"):
        answer = await bob.request(method, PATH)
        assert (answer.status_code, answer.json()["error"]) == (401, f"{USER1} belongs to another account")
    bulk = await bob.post("/api/private-addresses-bulk", json={"addresses": ["free@mailsac.com", USER1]})
    assert (bulk.status_code, bulk.json()["error"]) == (401, f"{USER1} belongs to another account")
    assert (await bob.get("/api/addresses")).json() == []


async def test_what_cannot_be_reserved_says_why(ann: httpx2.AsyncClient, accounts: Accounts) -> None:
    await ann.post(PATH)
    again = await ann.post(PATH)
    assert (again.status_code, again.json()["error"]) == (400, f"{USER1} is reserved by this account already")
    elsewhere = await ann.post("/api/addresses/a@elsewhere.example")
    assert elsewhere.status_code == 400
    assert "POST /api/domains/elsewhere.example" in elsewhere.json()["error"]
    await accounts.accounts.update("ann", address_credits=1)
    full = await ann.post("/api/addresses/user2@mailsac.com")
    assert full.status_code == 400
    assert "1 of 1 are used, 0 are left" in full.json()["error"]


async def test_an_address_that_was_read_can_be_put_back_with_a_change(ann: httpx2.AsyncClient) -> None:
    read = (await ann.post(f"/api/addresses/{USER1}")).json()
    answer = await ann.put(f"/api/addresses/{USER1}", json=read | {"enablews": True, "info": "mine"})
    assert answer.status_code == 200
    changed = {"enablews": True, "info": "mine", "updated": answer.json()["updated"]}
    assert answer.json() == read | changed


async def test_put_and_delete_want_a_reservation(ann: httpx2.AsyncClient) -> None:
    for method in ("PUT", "DELETE"):
        answer = await ann.request(method, PATH)
        assert answer.status_code == 400
        assert f"reserve it with POST /api/addresses/{USER1}" in answer.json()["error"]


async def test_members_are_set_kept_and_cleared(ann: httpx2.AsyncClient) -> None:
    full = {
        "enablews": True,
        "info": "für Tests, a\tb\nc\u0000",
        "forward": "Ann@Elsewhere.Example",
        "webhook": "https://example.com/hook?x=1",
        "webhookSlack": "http://[::1]:8080/",
        "webhookSlackToFrom": True,
    }
    shown = (await ann.post(PATH, json=full)).json()
    assert _without_times(shown) == OBJECT | full | {"forward": "ann@elsewhere.example"}
    kept = (await ann.put(PATH, json={"info": "new"})).json()
    assert _without_times(kept) == OBJECT | full | {"forward": "ann@elsewhere.example", "info": "new"}
    for empty in (dict.fromkeys(full), dict.fromkeys(full, "") | {"enablews": False, "webhookSlackToFrom": False}):
        await ann.put(PATH, json=full)
        assert _without_times((await ann.put(PATH, json=empty)).json()) == OBJECT


@pytest.mark.parametrize(
    ("members", "member"),
    [
        ({"enablews": 1}, "enablews"),
        ({"enablews": "true"}, "enablews"),
        ({"enablews": []}, "enablews"),
        ({"enabledws": True}, "enabledws"),
        ({"info": "x" * 1001}, "info"),
        ({"info": {}}, "info"),
        ({"forward": "nobody"}, "forward"),
        ({"forward": "a@b, c@d"}, "forward"),
        ({"webhook": "javascript:alert(1)"}, "webhook"),
        ({"webhook": "https://"}, "webhook"),
        ({"webhook": "https://a b"}, "webhook"),
        ({"webhook": "https://a\x00b"}, "webhook"),
        ({"webhook": "https://a/\n"}, "webhook"),
        ({"webhook": "https://a\r\nX: y"}, "webhook"),
        ({"webhook": "http://[::1"}, "webhook"),
        ({"webhook": "https://a/" + "x" * 2048}, "webhook"),
        ({"webhookSlackToFrom": "no"}, "webhookSlackToFrom"),
        ({"webhook_slack": "https://a"}, "webhook_slack"),
        ({"declared": "1"}, "declared"),
    ],
)
async def test_a_wrong_member_changes_nothing(
    ann: httpx2.AsyncClient, members: dict[str, Any], member: str
) -> None:
    before = (await ann.post(PATH)).json()
    for path in (PATH, f"/api/private-address-forwarding/{USER1}"):
        answer = await ann.put(path, json=members | {"info": members.get("info", "changed")})
        assert answer.status_code == 400
        assert [error.partition(": ")[0] for error in answer.json()["validationErrors"]] == [member]
    assert (await ann.get(PATH)).json() == before
    assert (await ann.post("/api/addresses/other@mailsac.com", json=members)).status_code == 400
    assert len((await ann.get("/api/addresses")).json()) == 1


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("User1@MAILSAC.com", "user1@mailsac.com"),
        ("user1%40mailsac.com", "user1@mailsac.com"),
        ("a%2Fb%2fc@mailsac.com", "a/b/c@mailsac.com"),
        ("a%2Bb@mailsac.com", "a+b@mailsac.com"),
        ("a+b@mailsac.com", "a+b@mailsac.com"),
        ("%22a%20b%22@mailsac.com", '"a b"@mailsac.com'),
        ("d%C3%BCrst@mailsac.com", "dürst@mailsac.com"),
        ("a@b%C3%BCcher.example", "a@xn--bcher-kva.example"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
    ],
)
async def test_an_address_in_a_path_is_made_canonical(
    ann: httpx2.AsyncClient, accounts: Accounts, path: str, canonical: str
) -> None:
    await accounts.domains.declare("ann", "xn--bcher-kva.example")
    reserved = await ann.post(f"/api/addresses/{path}")
    assert (reserved.status_code, reserved.json().get("_id")) == (200, canonical)
    for other in (f"/api/addresses/{path}", f"/api/addresses/{path.swapcase().replace('%C3', '%c3')}"):
        assert (await ann.get(other)).json()["_id"] == canonical
    assert (await ann.get(f"/api/addresses/{path}/availability")).json()["email"] == canonical
    assert (await ann.delete(f"/api/addresses/{path}")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("nobody", "@", "a@", "@mailsac.com", "a@@b", "a@b@mailsac.com", "a b@mailsac.com", "a@-.com"),
        *("a%00@mailsac.com", "a@mailsac%00.com", "a@[1.2.3.4]", "a" * 300 + "@mailsac.com"),
    ],
)
async def test_what_is_no_address_is_400_and_named(ann: httpx2.AsyncClient, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        answer = await ann.request(method, f"/api/addresses/{path}")
        assert answer.status_code == 400
        assert answer.json()["validationErrors"][0].startswith("email: ")
        assert "is not a mail address" in answer.json()["error"]
    assert (await ann.get(f"/api/addresses/{path}/availability")).status_code == 400


@pytest.mark.parametrize("path", ["%FF@mailsac.com", "%ED%A0%80@mailsac.com", "a@%C3.example"])
async def test_a_path_that_is_not_utf_8_is_400(ann: httpx2.AsyncClient, path: str) -> None:
    answer = await ann.post(f"/api/addresses/{path}")
    assert answer.status_code == 400
    assert answer.json()["error"] == "the email in the path is not percent-encoded UTF-8"


async def test_availability(ann: httpx2.AsyncClient, bob: httpx2.AsyncClient) -> None:
    path = f"{PATH}/availability"
    assert (await ann.get(path)).json() == {"available": True, "email": USER1, "owned": False}
    await ann.post(PATH)
    for client in (ann, bob):
        assert (await client.get(path)).json() == {"available": False, "email": USER1, "owned": True}


@pytest.mark.parametrize("query", ["", "?deleteAddressMessages=true", "?deleteAddressMessages=false"])
async def test_released_mail_is_gone_whatever_was_asked(ann: httpx2.AsyncClient, store: Store, query: str) -> None:
    await ann.post(PATH, json={"enablews": True})
    await store.client.xadd(keys.index(USER1), {"o": "ann", "e": "abcdef", "b": 3, "r": "row"}, id="1-1")
    await store.client.set(keys.letter(USER1, "abcdef-1-1"), "letter")
    async with listen(store) as control:
        answer = await ann.delete(f"{PATH}{query}")
        assert (answer.status_code, answer.json()["_id"]) == (200, USER1)
        assert await control.heard() == [Notice(Kind.ADDRESS, USER1)]
    assert await store.client.exists(keys.index(USER1), keys.letter(USER1, "abcdef-1-1")) == 0
    assert (await ann.delete(PATH)).status_code == 400


async def test_switching_off_is_told_to_every_process(ann: httpx2.AsyncClient, store: Store) -> None:
    await ann.post(PATH, json={"enablews": True})
    async with listen(store) as control:
        await ann.put(PATH, json={"enablews": None})
        assert await store.client.hget(keys.address(USER1), "enablews") == b"0"
        assert await control.heard() == [Notice(Kind.ADDRESS, USER1)]


async def test_bulk_answers_the_list_of_objects(ann: httpx2.AsyncClient) -> None:
    answer = await ann.post("/api/private-addresses-bulk", json={"addresses": [USER1.upper(), "b@mailsac.com"]})
    assert answer.status_code == 200
    assert _without_times(answer.json()[0]) == OBJECT
    assert [shown["_id"] for shown in answer.json()] == [USER1, "b@mailsac.com"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "addresses: Field required"),
        ({"addresses": []}, "addresses: List should have at least 1 item"),
        (
            {"addresses": [f"a{n}@mailsac.com" for n in range(101)]},
            "addresses: List should have at most 100 items",
        ),
        ({"addresses": USER1}, "addresses: Input should be a valid list"),
        ({"addresses": [USER1, 1]}, "addresses[1]: Input should be a valid string"),
        ({"addresses": [USER1, "nobody"]}, "'nobody' is not a mail address"),
        ({"addresses": [USER1, "User1@mailsac.com"]}, "user1@mailsac.com is named more than once"),
        ({"addresses": [f"a{n}@mailsac.com" for n in range(51)]}, "0 of 50 are used, 50 are left and 51 needed"),
        ({"addresses": [USER1], "all": True}, "all: is not known here"),
    ],
)
async def test_bulk_refuses_and_reserves_nothing(ann: httpx2.AsyncClient, body: dict[str, Any], text: str) -> None:
    answer = await ann.post("/api/private-addresses-bulk", json=body)
    assert answer.status_code == 400
    assert text in answer.json()["error"]
    assert (await ann.get("/api/addresses")).json() == []


async def test_of_fifty_posts_by_two_accounts_one_is_200(ann: httpx2.AsyncClient, bob: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*((ann, bob)[n % 2].post(PATH) for n in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 24 + [401] * 25


@pytest.mark.parametrize("name", ["admin", "POSTMASTER", "host.master+tag", '"abuse"', "mailer-daemon", "n.o.c"])
async def test_names_that_run_a_shared_domain_are_the_operators(
    ann: httpx2.AsyncClient, accounts: Accounts, name: str
) -> None:
    path = f"/api/addresses/{name}@mailsac.com"
    refused = await ann.post(path)
    assert (refused.status_code, "this name is the operator's" in refused.text) == (400, True)
    assert (
        await ann.post("/api/private-addresses-bulk", json={"addresses": [f"{name}@mailsac.com"]})
    ).status_code == 400
    assert (await ann.get(f"{path}/availability")).json()["available"] is False
    await accounts.addresses.declare("ann", canonical_address(f"{name}@mailsac.com"), enablews=True)
    assert (await ann.get(path)).json()["owner"] == "ann"
    assert (await ann.post("/api/addresses/administer@mailsac.com")).status_code == 200
