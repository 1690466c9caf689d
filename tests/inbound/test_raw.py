"""``POST /inbound/raw`` by HTTP: who may post, who it is for, and that the bytes come out as they went in."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from hypothesis import strategies as st
from standardwebhooks import Webhook

from relay.inbound.webhook.provider import Answers
from tests.harness import ADDRESS, DOMAIN, MAIL, SECRET, Relay
from tests.inbound.contract import SharedSecretContract
from tests.inbound.posts import header_values

pytestmark = pytest.mark.anyio

KEY = "whsec_" + base64.b64encode(bytes(range(24))).decode()
TO_US = ("X-Envelope-To", ADDRESS)
BEARER = ("Authorization", f"Bearer {SECRET}")

Pairs = Sequence[tuple[str, str | bytes]]


async def post(relay: Relay, body: bytes, headers: Pairs, query: str = "") -> httpx2.Response:
    """A post with exactly these headers, beside those that every HTTP client sends."""
    raw = [(name.encode(), value.encode() if isinstance(value, str) else value) for name, value in headers]
    return await relay.http.post(f"/inbound/raw{query}", content=body, headers=raw)


def anew() -> tuple[str, str]:
    """So that the very same bytes are not taken for a retry."""
    return "Webhook-Id", uuid4().hex


def mail(subject: str) -> bytes:
    return f"Subject: {subject}\r\n\r\nbody\r\n".encode()


def basic(password: str) -> tuple[str, str]:
    return ("Authorization", "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode())


def signed(body: bytes, secret: str = KEY, *, at: int | None = None) -> list[tuple[str, str | bytes]]:
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    signature = Webhook(secret).sign("msg_1", moment, body.decode())
    return [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", str(int(moment.timestamp()))),
        ("webhook-signature", signature),
    ]


async def test_the_secret_may_come_in_each_way(relay: Relay) -> None:
    ways: dict[str, tuple[Pairs, str]] = {
        "bearer": ([BEARER], ""),
        "basic": ([basic(SECRET)], ""),
        "token": ([], f"?token={SECRET}"),
        "several": ([("Authorization", "Bearer wrong"), basic("wrong"), BEARER], ""),
    }
    async with relay.listen() as socket:
        for way, (headers, query) in ways.items():
            assert (await post(relay, mail(way), [TO_US, *headers], query)).status_code == 200, way
            assert await socket.subject() == way


@pytest.mark.settings(raw_secret=f"other,{KEY}")
async def test_a_signed_post_needs_no_other_proof(relay: Relay) -> None:
    async with relay.listen() as socket:
        assert (await post(relay, mail("signed"), [TO_US, *signed(mail("signed"))])).status_code == 200
        assert await socket.subject() == "signed"


@pytest.mark.settings(raw_secret=KEY)
async def test_a_signature_that_does_not_fit_is_refused_whatever_else_is_right(relay: Relay) -> None:
    token = ("Authorization", f"Bearer {KEY}")
    other = "whsec_" + base64.b64encode(bytes(24)).decode()
    async with relay.listen() as socket:
        for headers in (
            signed(mail("tampered")),
            signed(mail("x"), other),
            signed(mail("x"), at=1_700_000_000),
            signed(mail("x"))[1:],
            [*signed(mail("x"), other), token],
            [("webhook-signature", b"v1,\xe9"), token],
        ):
            answer = await post(relay, mail("x"), [TO_US, *headers])
            assert answer.status_code == 401, headers
            assert KEY not in answer.text
        assert (await post(relay, mail("good"), [TO_US, token])).status_code == 200
        assert await socket.subject() == "good"


async def test_who_proves_nothing_is_told_how_and_delivers_nothing(relay: Relay) -> None:
    async with relay.listen() as socket:
        for headers, query, word in (
            ([], "", "missing"),
            ([("Authorization", "Bearer wrong")], "", "wrong"),
            ([("Authorization", b"Bearer \xe9")], "", "wrong"),
            ([basic("wrong")], "", "wrong"),
            ([("Authorization", "Basic %")], "", "missing"),
            ([], "?token=wrong&secret=x", "wrong"),
            ([("X-Token", SECRET)], f"?key={SECRET}", "missing"),
        ):
            answer = await post(relay, mail("bad"), [TO_US, *headers], query)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == 'Basic realm="relay"'
            assert answer.json() == {
                "error": f"the provider's secret is {word}: give it as Authorization: Bearer, as Basic password, or"
                " as ?token=",
                "message": answer.json()["error"],
            }
        assert (await post(relay, mail("good"), [TO_US, BEARER])).status_code == 200
        assert await socket.subject() == "good"


async def test_a_proof_is_asked_for_before_the_mail_is_looked_at(relay: Relay) -> None:
    for body, headers in ((b"", []), (b"{}", [("Content-Type", "application/json")]), (b"no mail", [TO_US])):
        assert (await post(relay, body, headers)).status_code == 401


@pytest.mark.settings(raw_secret="old, new")
async def test_while_a_secret_is_changed_both_work(relay: Relay) -> None:
    for secret, status in (("old", 200), ("new", 200), ("old, new", 401), (SECRET, 401)):
        answer = await post(relay, MAIL, [TO_US, ("Authorization", f"Bearer {secret}")])
        assert answer.status_code == status, secret


@pytest.mark.settings(raw_secret="")
async def test_a_provider_without_a_secret_has_no_route(relay: Relay) -> None:
    for headers in ([TO_US], [TO_US, BEARER], [TO_US, ("Authorization", "Bearer")]):
        assert (await post(relay, MAIL, headers)).status_code == 404
    assert (await post(relay, MAIL, [TO_US], "?token=")).status_code == 404
    assert (await relay.http.head("/inbound/raw")).status_code == 404
    assert (await relay.http.head("/inbound/mailsac")).status_code == 200


async def test_other_methods_and_paths_have_their_answers(relay: Relay) -> None:
    head = await relay.http.head("/inbound/raw")  # without proof: providers look before they save the URL
    assert (head.status_code, head.content) == (200, b"")
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = await relay.http.request(method, "/inbound/raw", headers=dict([BEARER]))
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == {"POST", "HEAD"}
    for path in ("/inbound", "/inbound/", "/inbound/unknown", "/inbound/RAW", "/inbound/raw/x"):
        assert (await relay.http.post(path, content=MAIL, headers=dict([BEARER, TO_US]))).status_code == 404


def inboxes(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["inbox"] for outcome in answer.json().values() for one in outcome]


async def test_envelope_recipients_come_from_headers_in_all_their_ways(relay: Relay) -> None:
    for lines, expected in (
        (["a@example.com"], ["a@example.com"]),
        (["<a@example.com>"], ["a@example.com"]),
        (["A@EXAMPLE.com, b@example.com,,c@example.com ,"], ["a@example.com", "b@example.com", "c@example.com"]),
        (["a@example.com", "<b@example.com>,c@example.com"], ["a@example.com", "b@example.com", "c@example.com"]),
        (["a@example.com", "a@example.com,<A@example.com>"], ["a@example.com"]),
        (['"a,b"@example.com, c@example.com'], ['"a,b"@example.com', "c@example.com"]),
        ([r'"a\",b"@example.com,c@example.com'], [r'"a\",b"@example.com', "c@example.com"]),
        (['"plain"@example.com'], ["plain@example.com"]),
        (["ünï@example.com"], ["ünï@example.com"]),
        (["user@bücher.example", "用户@例子.example"], ["user@xn--bcher-kva.example", "用户@xn--fsqu00a.example"]),
    ):
        answer = await post(relay, MAIL, [BEARER, *(("x-envelope-to", line) for line in lines)])
        assert inboxes(answer) == expected


async def test_mail_for_an_address_beyond_ascii_is_delivered(relay: Relay) -> None:
    async with relay.listen(DOMAIN) as socket:
        await post(relay, mail("SMTPUTF8"), [BEARER, ("X-Envelope-To", f"Ünï@{DOMAIN}")])
        message = await socket.message()
        assert (message["subject"], message["inbox"]) == ("SMTPUTF8", f"ünï@{DOMAIN}")
        await post(relay, mail("quoted"), [BEARER, ("X-Envelope-To", f'"a,b"@{DOMAIN}')])
        assert (await socket.message())["inbox"] == f'"a,b"@{DOMAIN}'


async def test_envelope_recipients_come_from_the_query_when_no_header_names_them(relay: Relay) -> None:
    for query, expected in (
        ("?to=a@example.com", ["a@example.com"]),
        ("?to=a%2Bb@example.com&to=%3Cc@example.com%3E", ["a+b@example.com", "c@example.com"]),
        ("?to=a@example.com,b@example.com&from=x@example.com", ["a@example.com", "b@example.com"]),
        ("?to=%C3%BC@example.com", ["ü@example.com"]),
    ):
        assert inboxes(await post(relay, MAIL, [BEARER], query)) == expected
        assert inboxes(await post(relay, MAIL, [BEARER, TO_US], query)) == [ADDRESS]


async def test_without_an_envelope_the_mail_names_its_recipient(relay: Relay) -> None:
    for head, expected in (
        (
            "Delivered-To: a@example.com\r\nDelivered-To: older@example.com\r\nTo: list@example.com",
            "a@example.com",
        ),
        ("X-Forwarded-To: f@example.com\r\nX-Original-To: <a@example.com>\r\nTo: x@example.com", "a@example.com"),
        ("X-Original-To: o@example.com\r\ndelivered-to: a@example.com", "a@example.com"),
        ("X-Forwarded-To: a@example.com\r\nTo: x@example.com, y@example.com", "a@example.com"),
        ("Delivered-To: \r\nX-Original-To: a@example.com", "a@example.com"),
        ('To: "Ann, of Example" <A@example.com>', "a@example.com"),
        ("To: ünï@example.com", "ünï@example.com"),
    ):
        body = f"{head}\r\nSubject: x\r\n\r\n".encode()
        assert inboxes(await post(relay, body, [BEARER])) == [expected]
        assert inboxes(await post(relay, body, [BEARER, ("x-envelope-to", ", ,<>")])) == [expected]


async def test_a_recipient_is_never_guessed(relay: Relay) -> None:
    for head in (
        "Subject: nobody",
        "To: a@example.com, b@example.com",
        "To: a@example.com\r\nTo: b@example.com",
        "To: a@example.com\r\nCc: b@example.com",
        "To: a@example.com\r\nBcc: b@example.com",
        "To: undisclosed-recipients:;",
        "To: ",
        "Cc: a@example.com",
    ):
        answer = await post(relay, f"{head}\r\n\r\nTo: body@example.com\r\n".encode(), [BEARER])
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("no recipient: name the envelope recipient in an X-Envelope-To")
        assert answer.json()["validationErrors"] == [f"X-Envelope-To: {answer.json()['error']}"]


async def test_recipients_that_are_no_addresses_do_not_hinder_the_others(relay: Relay) -> None:
    answer = await post(relay, MAIL, [BEARER, ("X-Envelope-To", f"nonsense, {ADDRESS}, @, a@b@c, {'x' * 400}")])
    assert [one["inbox"] for one in answer.json()["accepted"]] == [ADDRESS]
    assert answer.json()["rejected"] == [
        {"inbox": inbox, "reason": "not an address"} for inbox in ("nonsense", "@", "a@b@c", "x" * 320)
    ]


async def test_what_the_receiving_server_knows_comes_through(relay: Relay) -> None:
    async with relay.listen() as socket:
        for headers, ip, rtls in (
            ([("X-Envelope-Remote-IP", "192.0.2.7"), ("X-Envelope-TLS", "on")], "192.0.2.7", True),
            ([("X-Envelope-Remote-IP", "2001:db8::1"), ("X-Envelope-TLS", "TRUE")], "2001:db8::1", True),
            ([("X-Envelope-TLS", "1")], "", True),
            ([("X-Envelope-TLS", "yes")], "", True),
            ([("X-Envelope-TLS", "off"), ("X-Envelope-From", "x@example.com")], "", False),
            ([("X-Envelope-TLS", ""), ("X-Forwarded-For", "192.0.2.9")], "", False),
        ):
            await post(relay, MAIL, [BEARER, TO_US, anew(), *headers])
            message = await socket.message()
            assert (message["ip"], message["rtls"], message["via"], message["spam"]) == (ip, rtls, "", None)


async def test_an_mbox_line_is_no_part_of_the_mail(relay: Relay) -> None:
    async with relay.listen() as socket:
        for line in (b"From ann@sender.test Tue Jun 23 01:33:13 2020\n", b"From - Tue\r\n", b"From  \t x: y\n"):
            assert (await post(relay, line + MAIL, [BEARER, TO_US])).status_code == 200
            message = await socket.message()
            assert (message["raw"].encode(), message["size"]) == (MAIL, len(MAIL))
        old = b"From : ann@sender.test\r\nSubject: white space before the colon\r\n\r\n"
        assert (await post(relay, old, [BEARER, TO_US])).status_code == 200
        message = await socket.message()
        assert (message["raw"].encode(), message["from"][0]["address"]) == (old, "ann@sender.test")


async def test_what_is_no_mail_is_refused_with_the_reason(relay: Relay) -> None:
    for body, reason in (
        (b"", "the body is empty"),
        (b"From ann@sender.test", "the body is empty"),
        (b"From ann@sender.test\n", "the body is empty"),
        (b"hello", "does not begin with a header field"),
        (b"\r\n" + MAIL, "does not begin with a header field"),
        (b'{"raw": "x"}', "the body looks like JSON"),
        (b"\xff\xfeS\0u\0b\0j\0", "does not begin with a header field"),
        (b"From x\nFrom y\nSubject: x\n\n", "does not begin with a header field"),
    ):
        answer = await post(relay, body, [BEARER, TO_US])
        assert answer.status_code == 400, body
        assert reason in answer.json()["error"]


async def test_a_content_type_that_cannot_be_a_mail_is_refused_by_name(relay: Relay) -> None:
    for content_type in ("application/json", "Application/JSON; charset=utf-8", "multipart/form-data; boundary=b"):
        answer = await post(relay, MAIL, [BEARER, TO_US, ("Content-Type", content_type)])
        assert answer.status_code == 415
        assert answer.json()["error"].endswith(f"not {content_type.partition(';')[0].lower()}")
        assert "message/rfc822" in answer.json()["error"]


async def test_any_other_content_type_and_none_is_taken(relay: Relay) -> None:
    curls_own = "application/x-www-form-urlencoded"
    headers: list[Pairs] = [
        [("Content-Type", content_type)]
        for content_type in ("message/rfc822", "message/global", "application/octet-stream", curls_own, "é", "")
    ]
    async with relay.listen() as socket:
        for given in [[], *headers]:
            assert (await post(relay, MAIL, [BEARER, TO_US, anew(), *given])).status_code == 200, given
            assert (await socket.message())["raw"].encode() == MAIL


def original(message: dict[str, Any]) -> bytes:
    raw: str = message["raw"]
    return raw.encode(message.get("rawEncoding", "utf-8"))


async def test_raw_turns_back_into_the_very_bytes(relay: Relay) -> None:
    async with relay.listen() as socket:
        for body, encoding in (
            (b"Subject: CRLF\r\n\r\nbody\r\n", None),
            (b"Subject: LF\n\nbody\n", None),
            (b"Subject: CR\r\rbody\r", None),
            (b"Subject: mixed\r\n\nbody\n\r\r\n", None),
            ("Subject: ünï 日本 😀\r\n\r\n\u2028\ufeff".encode(), None),
            (b"Subject: NUL \0\r\n\r\n\0\x01\x1b\x7f\r\n", None),
            (b"Subject: caf\xe9\r\n\r\n", "latin1"),
            (b"Subject: both \xc3\xa9 \xe9\r\n\r\n", "latin1"),
            (b"Subject: surrogates \xed\xa0\x80\r\n\r\n", "latin1"),
            (b"Subject: every byte\r\n\r\n" + bytes(range(256)), "latin1"),
            (b"Subject: only a header", None),
            (b"X:", None),
        ):
            assert (await post(relay, body, [BEARER, TO_US])).status_code == 200
            message = await socket.message()
            assert original(message) == body
            assert message.get("rawEncoding") == encoding
            assert message["size"] == len(body)
            assert "rawSynthesized" not in message


class TestRaw(SharedSecretContract):
    """The body is the mail."""

    name = "raw"
    answers = Answers()
    secret = SECRET  # of the harness, which posts mails of its own
    content_type = "message/rfc822"
    bodies = st.binary() | st.binary().map(lambda body: b"To: a@b.test\n" + body)
    heads = st.lists(st.tuples(st.sampled_from(["authorization", "webhook-signature"]), header_values()))
