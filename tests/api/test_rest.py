"""What all paths share: keys, bodies, and errors as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay import settings as relay_settings
from relay.service.app import Service
from tests.api.conftest import ANN_KEY, BASE, BOB_KEY
from tests.examples import examples
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

USER1 = "/api/addresses/user1@mailsac.com"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    "how",
    [
        {"headers": {"Mailsac-Key": ANN_KEY}},
        {"headers": {"mailsac-key": ANN_KEY}},
        {"headers": {"Authorization": f"Bearer {ANN_KEY}"}},
        {"headers": {"Authorization": f"bearer  {ANN_KEY} "}},
        {"params": {"_mailsacKey": ANN_KEY}},
        {"json": {"_mailsacKey": ANN_KEY}},
        {"json": {"_mailsacKey": ANN_KEY, "enablews": True}},
        {
            "headers": {"Mailsac-Key": ANN_KEY},
            "params": {"_mailsacKey": BOB_KEY},
            "json": {"_mailsacKey": BOB_KEY},
        },
    ],
)
async def test_the_key_may_come_in_four_ways(anonymous: httpx2.AsyncClient, how: dict[str, Any]) -> None:
    answer = await anonymous.post(USER1, **how)
    assert (answer.status_code, answer.json()["owner"]) == (200, "ann")


@pytest.mark.parametrize(
    ("method", "how", "text"),
    [
        ("GET", {}, "no API key"),
        ("POST", {}, "no API key"),
        ("GET", {"headers": {"Mailsac-Key": ""}}, "no API key"),
        ("GET", {"headers": {"Authorization": "Basic YTpi"}}, "no API key"),
        ("GET", {"headers": {"Authorization": "Bearer"}}, "no API key"),
        ("GET", {"headers": {"Mailsac-Key": "wrong"}}, "unknown or revoked"),
        ("GET", {"headers": {"Mailsac-Key": "schl\xfcssel".encode("latin-1")}}, "unknown or revoked"),
        ("GET", {"params": {"_mailsacKey": "x" * 50_000}}, "unknown or revoked"),
        ("PUT", {"json": {"_mailsacKey": "wrong"}}, "unknown or revoked"),
        ("PUT", {"json": {"_mailsacKey": ""}}, "no API key"),
        ("POST", {"headers": {"Mailsac-Key": "wrong"}, "content": b"not json"}, "unknown or revoked"),
    ],
)
async def test_without_a_good_key_the_answer_is_401(
    anonymous: httpx2.AsyncClient, method: str, how: dict[str, Any], text: str
) -> None:
    answer = await anonymous.request(method, USER1, **how)
    assert answer.status_code == 401
    assert text in answer.json()["error"]
    assert answer.json()["error"] == answer.json()["message"]


async def test_a_key_in_the_body_of_a_get_is_not_looked_for(anonymous: httpx2.AsyncClient) -> None:
    answer = await anonymous.request("GET", USER1, json={"_mailsacKey": ANN_KEY})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "the body is not JSON"),
        (b"enablews=true", "the body is not JSON"),
        (b'{"enablews": true} x', "the body is not JSON"),
        (b'{"info": NaN}', "the body is not JSON"),
        (b'{"info": "\xff"}', "the body is not JSON"),
        (b'{"info": "\\ud800"}', "the body is not JSON"),
        (b'{"info": "a\x00b"}', "the body is not JSON"),
        (b"\xef\xbb\xbf{}", "the body is not JSON"),
        (b'{"info":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "the body is not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"true", "not a JSON object"),
        (b'"enablews"', "not a JSON object"),
        (b'{"_mailsacKey": 1}', "_mailsacKey must be text"),
    ],
)
async def test_a_body_that_is_no_object_is_refused(ann: httpx2.AsyncClient, body: bytes, text: str) -> None:
    answer = await ann.put(USER1, content=body)
    assert answer.status_code == 400
    assert text in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b" \r\n", b"{}"])
@pytest.mark.parametrize("headers", [{}, FORM, {"content-type": "text/plain; charset=utf-16"}])
async def test_no_body_is_an_empty_one(ann: httpx2.AsyncClient, body: bytes, headers: dict[str, str]) -> None:
    assert (await ann.post(USER1, content=body, headers=headers)).status_code == 200


async def test_a_body_has_a_limit(ann: httpx2.AsyncClient, anonymous: httpx2.AsyncClient) -> None:
    for client in (ann, anonymous):
        for size in (64 * 1024 + 1, 1024 * 1024):
            answer = await client.post(USER1, content=b" " * size)
            assert answer.status_code == 413
            assert answer.headers["connection"] == "close"
            assert answer.json()["error"] == "the body is over 65536 bytes"
    assert (await ann.post(USER1, content=b" " * 64 * 1024)).status_code == 200


async def test_a_body_without_end_is_cut_off(ann: httpx2.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1024

    assert (await ann.post(USER1, content=endless())).status_code == 413


async def test_a_caller_who_leaves_in_the_middle_is_no_fault_of_ours(transport: httpx2.ASGITransport) -> None:
    sent: list[Any] = []
    events: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"enablews"', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"type": "http", "http_version": "1.1", "method": "PUT", "path": USER1, "query_string": b""}
    scope |= {"headers": [(b"mailsac-key", ANN_KEY.encode())]}
    await transport.app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert b"the request ended before its body did" in sent[1]["body"]


async def test_every_wrong_member_is_named(ann: httpx2.AsyncClient) -> None:
    answer = await ann.put(USER1, json={"enablews": "yes", "webhookSlack": "ftp://x", "colour": "red", "info": 1})
    assert answer.status_code == 400
    errors = dict(error.split(": ", 1) for error in answer.json()["validationErrors"])
    assert errors == {
        "enablews": "Input should be a valid boolean",
        "info": "Input should be a valid string",
        "webhookSlack": 'must be an http:// or https:// URL, or "" for none',
        "colour": "is not known here",
    }
    assert all(f"{member}: {text}" in answer.json()["error"] for member, text in errors.items())


async def test_what_is_not_there_is_told_in_json(ann: httpx2.AsyncClient) -> None:
    for path in ("/api/nothing", "/api/addresses/a@mailsac.com/nothing", "/api/"):
        answer = await ann.get(path)
        assert (answer.status_code, answer.json()["error"]) == (
            404,
            "there is no such path; README.md lists those that are",
        )
    elsewhere = await ann.get("/nothing")
    assert (elsewhere.status_code, elsewhere.headers["content-type"]) == (404, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", USER1, {"GET", "HEAD", "POST", "PUT", "DELETE"}),
        ("POST", "/api/addresses", {"GET", "HEAD"}),
        ("GET", "/api/private-address-forwarding/a@mailsac.com", {"PUT"}),
        ("GET", "/api/private-addresses-bulk", {"POST"}),
        ("DELETE", "/api/domains", {"GET", "HEAD"}),
        ("PUT", "/api/domains/own.example", {"GET", "HEAD", "POST", "DELETE"}),
    ],
)
async def test_a_wrong_method_names_the_right_ones(
    ann: httpx2.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await ann.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert answer.json()["error"].startswith(f"{method} is not for this path; it takes ")


async def test_head_is_get_without_a_body(ann: httpx2.AsyncClient) -> None:
    answer = await ann.head("/api/addresses")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


async def test_while_redis_is_away_the_answer_is_503_and_when_to_come_back() -> None:
    with RedisServer() as server:
        flags = {"redis_url": server.url, "redis_timeout_seconds": 0.2, "domains": "mailsac.com"}
        service = Service(relay_settings.load({}, **flags))
        accounts = service.accounts
        await accounts.accounts.create("ann")
        await accounts.keys.add("ann", ANN_KEY)
        headers = {"Mailsac-Key": ANN_KEY}
        transport = httpx2.ASGITransport(app=service.app)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
            server.pause()
            answer = await client.post(USER1)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "Redis" in answer.json()["error"]
            server.resume()
            assert (await client.get("/api/addresses")).status_code == 200
        await service.store.close()


ANY_EXAMPLES = settings(
    max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
MEMBERS = st.sampled_from(
    ["enablews", "info", "forward", "webhook", "webhookSlackToFrom", "addresses", "_mailsacKey"]
)


@ANY_EXAMPLES
@given(
    body=st.binary(max_size=300), path=st.sampled_from([USER1, "/api/private-addresses-bulk", "/api/domains/a.b"])
)
async def test_any_bytes_are_a_body_or_a_400(ann: httpx2.AsyncClient, body: bytes, path: str) -> None:
    answer = await ann.post(path, content=body)
    assert answer.status_code in (200, 400)
    assert answer.json()


@ANY_EXAMPLES
@given(body=st.dictionaries(MEMBERS | st.text(), JSON, max_size=4))
async def test_any_members_are_taken_or_named(ann: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    for path in (USER1, "/api/private-addresses-bulk"):
        try:
            request = ann.build_request("POST", path, json=body)
        except ValueError:  # NaN, lone surrogates: httpx does not send them
            return
        answer = await ann.send(request)
        assert answer.status_code in (200, 400)


@ANY_EXAMPLES
@given(key=st.text(), raw=st.binary())
async def test_any_text_is_a_key_that_is_not_known(anonymous: httpx2.AsyncClient, key: str, raw: bytes) -> None:
    answers = [
        await anonymous.get(USER1, params={"_mailsacKey": key}),
        await anonymous.get(USER1, headers={b"Mailsac-Key": raw}),
        await anonymous.put(USER1, json={"_mailsacKey": key}),
    ]
    assert {answer.status_code for answer in answers} == {401}


@ANY_EXAMPLES
@given(
    text=st.text(min_size=1, max_size=80) | st.emails(), method=st.sampled_from(["GET", "POST", "PUT", "DELETE"])
)
async def test_any_text_in_a_path_is_answered(ann: httpx2.AsyncClient, text: str, method: str) -> None:
    quoted = "".join(f"%{byte:02X}" for byte in text.encode("utf-8"))
    for path in ("/api/addresses/", "/api/domains/", "/api/private-address-forwarding/"):
        answer = await ann.request(method, f"{path}{quoted}")
        assert answer.status_code in (200, 400, 401, 404, 405)
