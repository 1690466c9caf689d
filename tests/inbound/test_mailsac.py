"""``POST /inbound/mailsac``: Mailsac's JSON, and our own fed back in, become the message they describe."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay import mime
from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.providers.mailsac import Mailsac
from relay.inbound.webhook.provider import Answers, Delivery, NotProven
from relay.inbound.webhook.rebuild import rebuilt_mail
from tests.examples import examples
from tests.harness import ADDRESS, DOMAIN, MAILSAC_SECRET, SECRET, Relay
from tests.inbound.contract import SharedSecretContract
from tests.inbound.posts import NOW, Pairs, post

PRINTED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "seed.json").read_text())
# As its OpenAPI document describes the webhook's body.
EVENT: dict[str, Any] = {
    "_id": "BotvTxaona7gLID1Adtpfj8Fnfi7HSSv-0",
    "from": [{"name": "Ann", "address": "ann@sender.test"}],
    "to": [{"name": "", "address": ADDRESS}],
    "cc": [],
    "bcc": None,
    "subject": "Hello",
    "inbox": ADDRESS,
    "originalInbox": ADDRESS,
    "encryptedInbox": "inbox-9f2@mailsac.com",
    "domain": "mailsac.com",
    "received": "2024-12-19T10:20:30.400Z",
    "size": 80,
    "attachments": None,
    "ip": "192.0.2.7",
    "via": "198.51.100.1",
    "folder": "inbox",
    "labels": [],
    "read": False,
    "rtls": True,
    "links": [],
    "spam": 0.251,
    "savedBy": None,
    "text": "Hello, world.\n",
    "body": "",
    "headers": {"from": ["Ann <ann@sender.test>"], "subject": ["Hello"]},
    "raw": "From: Ann <ann@sender.test>\nTo: user1@mailsac.com\nSubject: Hello\n\nHello, world.\n",
}
RECEIVED = datetime(2024, 12, 19, 10, 20, 30, 400_000, UTC)

provider = Mailsac((MAILSAC_SECRET,))


def parse(event: object, content_type: str = "application/json") -> Delivery:
    [delivery] = provider.parse(post([("Content-Type", content_type)], json.dumps(event).encode()))
    return delivery


def refused(event: object) -> BadRequest:
    with pytest.raises(BadRequest) as refusal:
        parse(event)
    return refusal.value


async def send(relay: Relay, event: object) -> httpx2.Response:
    return await relay.http.post(f"/inbound/mailsac?token={MAILSAC_SECRET}", json=event)


@pytest.mark.anyio
async def test_the_message_that_mailsac_prints_arrives_as_it_is_printed(relay: Relay) -> None:
    async with relay.listen() as socket:
        assert (await send(relay, PRINTED)).status_code == 200
        message = await socket.message()
    envelope = ("inbox", "originalInbox", "domain", "received", "rtls", "ip", "spam", "via")
    kept = (*envelope, "from", "to", "subject", "text", "raw")
    assert {key: message[key] for key in kept} == {key: PRINTED[key] for key in kept}
    assert "rawSynthesized" not in message


@pytest.mark.anyio
@pytest.mark.parametrize("frames", ["message", "envelope"])
async def test_one_relay_may_feed_another_byte_for_byte(relay: Relay, frames: str) -> None:
    """What a listener receives, in either frame, is posted as it is; only the id differs when it comes again."""
    mails = [
        b"Subject: plain\r\n\r\nbody\r\n",
        b"Subject: latin-1 \xe9\r\n\r\n\xff\xfe\0\n" + bytes(range(256)),
        "Subject: UTF-8 é\n\n日本 😀\n".encode(),
    ]
    async with relay.listen(frames=frames) as socket:
        if frames == "envelope":
            assert (await socket.message())["msg"] == "Listening"
        for mail in mails:
            headers = {"X-Envelope-Remote-IP": "192.0.2.7", "X-Envelope-TLS": "on"}
            await relay.post(mail, ADDRESS, headers=headers)
            first = await socket.message()
            assert (await send(relay, first)).status_code == 200
            again = await socket.message()
            first, again = (frame.get("email", frame) for frame in (first, again))
            assert again.pop("_id") != first.pop("_id")
            assert again == first
            assert again["raw"].encode(again.get("rawEncoding", "utf-8")) == mail


@pytest.mark.anyio
async def test_a_rebuilt_mail_says_so_however_often_it_is_fed_on(relay: Relay) -> None:
    event = {"inbox": ADDRESS, "subject": "é", "text": "text", "html": "<p>é</p>", "received": PRINTED["received"]}
    async with relay.listen() as socket:
        assert (await send(relay, event)).status_code == 200
        first = await socket.message()
        assert first["rawSynthesized"] is True
        assert {key: first[key] for key in event} == event
        assert (await send(relay, first)).status_code == 200
        again = await socket.message()
        assert again.pop("_id") != first.pop("_id")
        assert again == first


@pytest.mark.anyio
async def test_what_is_wrong_is_parked_with_its_reason_and_delivers_nothing(relay: Relay) -> None:
    async with relay.listen() as socket:
        for event, reason in (
            ({}, "inbox is missing: it names the recipient"),
            (EVENT | {"raw": 5}, "raw must be text"),
            ({"email": {"inbox": []}}, "inbox must be text"),
        ):
            answer = await send(relay, event)
            assert answer.status_code == 200
            assert answer.json()["accepted"] == answer.json()["rejected"] == []
            assert [one["reason"] for one in answer.json()["parked"]] == [reason]
        assert (await relay.http.post("/inbound/mailsac", json=EVENT)).status_code == 401
        assert (await relay.http.post(f"/inbound/mailsac?token={SECRET}", json=EVENT)).status_code == 401
        assert (await send(relay, EVENT | {"inbox": "nonsense"})).json() == {
            "accepted": [],
            "rejected": [{"inbox": "nonsense", "reason": "not an address"}],
        }
        await relay.send("good")
        assert await socket.subject() == "good"


@pytest.mark.anyio
async def test_rerouted_mail_names_its_first_address_and_other_mail_its_inbox(relay: Relay) -> None:
    async with relay.listen(DOMAIN) as socket:
        for inbox, original, expected in (
            (f"a@{DOMAIN}", f"b@{DOMAIN}", f"b@{DOMAIN}"),
            (f"A@{DOMAIN}", f"A@{DOMAIN.upper()}", f"a@{DOMAIN}"),
            (f"a@{DOMAIN}", "", f"a@{DOMAIN}"),
            (f"a@{DOMAIN}", None, f"a@{DOMAIN}"),
            (f"a@{DOMAIN}", "a list", "a list"),
            ("", f"a@{DOMAIN}", f"a@{DOMAIN}"),
        ):
            await send(relay, EVENT | {"_id": uuid4().hex, "inbox": inbox, "originalInbox": original})
            message = await socket.message()
            assert (message["inbox"], message["originalInbox"]) == (f"a@{DOMAIN}", expected)


@pytest.mark.parametrize("wrapped", [False, True])
def test_every_member_that_counts_is_read(wrapped: bool) -> None:
    delivery = parse({"status": 200, "email": EVENT} if wrapped else EVENT)
    raw = EVENT["raw"].encode()
    assert delivery == Delivery(
        recipients=(ADDRESS,),
        raw=raw,
        parts=mime.parse(raw),
        received=RECEIVED,
        rerouted_from=ADDRESS,
        ip="192.0.2.7",
        via="198.51.100.1",
        rtls=True,
        spam=0.251,
        raw_synthesized=False,
        event=f"id:{EVENT['_id']}",
        retry_seconds=259_200,
    )


@pytest.mark.parametrize(
    ("member", "given_value", "field", "expected"),
    [
        ("received", "2024-12-19T10:20:30.4+00:00", "received", RECEIVED),
        ("received", "2024-12-19T12:20:30.400+02:00", "received", RECEIVED),
        ("received", "2024-12-19T10:20:30.400", "received", RECEIVED),
        ("received", "yesterday", "received", NOW),
        ("received", "", "received", NOW),
        ("received", None, "received", NOW),
        ("received", "0001-01-01T00:00:00+23:59", "received", NOW),
        ("received", "9999-12-31T23:59:59-23:59", "received", NOW),
        ("spam", 0, "spam", 0.0),
        ("spam", 1, "spam", 1.0),
        ("spam", -3.5, "spam", 0.0),
        ("spam", 10**40, "spam", 1.0),
        ("spam", None, "spam", None),
        ("spam", "0.5", "spam", None),
        ("spam", True, "spam", None),
        ("spam", [0.5], "spam", None),
        ("rtls", False, "rtls", False),
        ("rtls", None, "rtls", False),
        ("rtls", "true", "rtls", False),
        ("rtls", 1, "rtls", False),
        ("ip", None, "ip", ""),
        ("ip", " 192.0.2.7 ", "ip", "192.0.2.7"),
        ("via", None, "via", ""),
        ("inbox", f"  {ADDRESS}\n", "recipients", (ADDRESS,)),
        ("inbox", None, "recipients", (ADDRESS,)),
        ("rawSynthesized", True, "raw_synthesized", True),
        ("rawSynthesized", "true", "raw_synthesized", False),
        ("size", "nonsense", "raw", EVENT["raw"].encode()),
        ("rawEncoding", None, "raw", EVENT["raw"].encode()),
        ("email", "not the frame of a socket", "recipients", (ADDRESS,)),
        ("email", None, "recipients", (ADDRESS,)),
    ],
)
def test_members_of_other_types_mean_not_known(
    member: str, given_value: object, field: str, expected: object
) -> None:
    assert getattr(parse(EVENT | {member: given_value}), field) == expected


@pytest.mark.parametrize("member", ["inbox", "originalInbox", "received", "ip", "via"])
@pytest.mark.parametrize("value", [0, 1.5, False, [], ["x"], {}])
def test_text_that_is_none_is_refused_by_its_name(member: str, value: object) -> None:
    refusal = refused(EVENT | {member: value})
    assert (refusal.member, str(refusal)) == (member, f"{member} must be text")


@pytest.mark.parametrize("value", [0, False, [], ["x"], {}, {"type": "Buffer", "data": [70]}])
def test_a_raw_that_is_no_text_is_refused(value: object) -> None:
    assert (refused(EVENT | {"raw": value}).member, str(refused(EVENT | {"raw": value}))) == (
        "raw",
        "raw must be text",
    )


def test_a_raw_that_does_not_fit_its_encoding_is_refused() -> None:
    event = EVENT | {"raw": "Subject: 日本\n\n", "rawEncoding": "latin1"}
    assert (refused(event).member, str(refused(event))) == ("raw", "raw does not match its rawEncoding")
    assert parse(event | {"raw": "Subject: é\n\n"}).raw == b"Subject: \xe9\n\n"
    assert parse(event | {"rawEncoding": "utf-8"}).raw == "Subject: 日本\n\n".encode()


def test_a_raw_that_is_no_mail_is_refused() -> None:
    for raw in ("hello", "\nSubject: x\n", " ", "ü: x\n\n"):
        assert "does not begin with a header field" in str(refused(EVENT | {"raw": raw}))


def test_the_recipient_must_be_named() -> None:
    for event in ({}, {"inbox": ""}, {"inbox": " "}, {"to": EVENT["to"]}, {"status": 200, "email": {}}):
        assert (refused(event).member, str(refused(event))) == (
            "inbox",
            "inbox is missing: it names the recipient",
        )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not JSON (line 1, column 1)"),
        (b'{"inbox":\n "a"', "the body is not JSON (line 2"),
        (b"{'inbox': 'a'}", "the body is not JSON"),
        (b'{"inbox": "\xe9"}', "the body is not JSON"),
        (b'{"spam": NaN}', "the body is not JSON"),
        (b"inbox=a@example.com", "the body is not JSON"),
        (EVENT["raw"].encode(), "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b'{"email":' * 100_000, "the body is not JSON"),
        (b"null", "the body must be one JSON object"),
        (b"[]", "the body must be one JSON object"),
        (b'"text"', "the body must be one JSON object"),
        (json.dumps([EVENT]).encode(), "the body must be one JSON object"),
    ],
)
def test_what_is_no_json_object_is_refused_with_the_place(body: bytes, reason: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        provider.parse(post([], body))
    assert str(refusal.value).startswith(reason)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded", ""],
)
def test_json_is_taken_under_any_name_that_clients_give_it(content_type: str) -> None:
    assert parse(EVENT, content_type).recipients == (ADDRESS,)


@pytest.mark.parametrize("content_type", ["message/rfc822", "Multipart/Form-Data; boundary=b"])
def test_what_other_providers_post_is_refused_by_name(content_type: str) -> None:
    with pytest.raises(
        UnsupportedMediaType, match=rf"not {content_type.partition(';')[0].lower()}; see /inbound/raw"
    ):
        parse(EVENT, content_type)


def test_the_secret_proves_and_a_signature_is_not_asked_for() -> None:
    password = base64.b64encode(f"mailsac:{MAILSAC_SECRET}".encode()).decode()
    good: list[tuple[Pairs, str]] = [
        ([("Authorization", f"Basic {password}")], ""),
        ([("Authorization", f"Bearer {MAILSAC_SECRET}"), ("webhook-signature", "v1,x")], ""),
        ([], f"token={MAILSAC_SECRET}"),
    ]
    for headers, query in good:
        provider.verify(post(headers, query=query))
    with pytest.raises(NotProven):
        provider.verify(post([("webhook-signature", "v1,x")], query="token=wrong"))


REBUILT = EVENT | {
    "raw": None,
    "subject": "Grüße, 日本 😀",
    "from": [{"name": 'Ann "the \\ ann" of, Provider', "address": "ann@sender.test"}],
    "to": [{"name": "", "address": ADDRESS}, {"name": "Bö", "address": "bö@example.com"}],
    "cc": [{"address": "c@example.com"}],
    "text": "Hello, wörld.\n\nFrom here\n.\n" + "long " * 400,
    "body": "<p>Hello, wörld = 1</p>\n",
    "headers": {
        "received": ["from a by b", "from c by d;\n\tTue"],
        "X-Empty": "",
        "Content-Type": "multipart/mixed; boundary=theirs",
        "content-transfer-encoding": "base64",
        "Content-Disposition": "attachment; filename=x",
        "MIME-Version": "1.0",
        "message-id": "<1@sender.test>",
    },
}


@pytest.mark.parametrize("raw", [None, ""])
def test_without_raw_the_mail_is_rebuilt_from_its_parts(raw: str | None) -> None:
    delivery = parse(REBUILT | {"raw": raw})
    assert delivery.raw_synthesized
    parts = delivery.parts
    assert parts == mime.parse(delivery.raw)
    assert (parts.subject, parts.text, parts.html) == (REBUILT["subject"], REBUILT["text"], REBUILT["body"])
    shown = [[(mailbox.name, mailbox.address) for mailbox in one] for one in (parts.sender, parts.to, parts.cc)]
    assert shown == [
        [(one.get("name", ""), one["address"]) for one in REBUILT[name]] for name in ("from", "to", "cc")
    ]
    assert (parts.bcc, parts.attachments) == ((), ())
    assert [pair for pair in parts.headers if not pair[0].startswith(("content-", "mime-"))][:4] == [
        ("received", "from a by b"),
        ("received", "from c by d; Tue"),
        ("x-empty", ""),
        ("message-id", "<1@sender.test>"),
    ]
    assert [name for name, _ in parts.headers].count("content-type") == 1
    assert "theirs" not in dict(parts.headers)["content-type"]


def test_headers_that_are_given_win_over_the_parts_made_of_them() -> None:
    headers = {
        "subject": "=?utf-8?q?=C3=A9?=",
        "From": "Header <header@sender.test>",
        "To": ["a@b.test", "c@d.test"],
    }
    parts = parse(REBUILT | {"headers": headers}).parts
    assert (parts.subject, parts.sender[0].address) == ("é", "header@sender.test")
    assert [mailbox.address for mailbox in parts.to] == ["a@b.test", "c@d.test"]
    assert [name for name, _ in parts.headers].count("subject") == 1


def test_headers_about_the_body_that_was_do_not_misdescribe_the_one_that_is() -> None:
    headers = {"Content-Disposition": "attachment; filename=x", "Content-Type": "image/png", "content-length": "9"}
    delivery = parse({"inbox": ADDRESS, "text": "text", "headers": headers})
    assert (delivery.parts.text, delivery.parts.attachments) == ("text", ())
    assert {name for name, _ in delivery.parts.headers} <= NAMES_MADE


def test_headers_of_no_use_give_way_to_the_parts() -> None:
    useless: list[Any] = [
        None,
        [],
        "subject: x",
        {"subject": None, "from": 5, "to": [None, {}]},
        {"": "x", "é": "x"},
    ]
    for headers in useless:
        parts = parse(REBUILT | {"headers": headers}).parts
        assert (parts.subject, len(parts.sender), len(parts.to)) == (REBUILT["subject"], 1, 2), headers


@pytest.mark.parametrize(
    "odd", [None, 5, "text", [], {}, [None], ["x"], [{}], [{"address": None}], [{"address": 5}], [{"name": "x"}]]
)
def test_parts_of_other_types_are_left_out(odd: object) -> None:
    event: dict[str, Any] = {"inbox": ADDRESS, "from": odd, "to": odd, "cc": odd, "bcc": odd}
    parts = parse(event).parts
    assert (parts.sender, parts.to, parts.cc, parts.bcc) == ((), (), (), ())
    if not isinstance(odd, str):
        parts = parse({"inbox": ADDRESS, "subject": odd, "text": odd, "html": odd, "headers": odd}).parts
        assert (parts.subject, parts.text, parts.html) == ("", "", "")


def test_a_name_of_another_type_leaves_its_address() -> None:
    [mailbox] = parse({"inbox": ADDRESS, "from": [{"address": "a@b.test", "name": {"x": 1}}, "c"]}).parts.sender
    assert (mailbox.address, mailbox.name) == ("a@b.test", "")


@pytest.mark.parametrize(
    ("members", "text", "html"),
    [
        ({"text": "t"}, "t", ""),
        ({"html": "<p>h</p>"}, "", "<p>h</p>"),
        ({"html": "<p>new</p>", "body": "<p>old</p>"}, "", "<p>new</p>"),
        ({"text": "t", "body": "<p>old</p>"}, "t", "<p>old</p>"),
        ({}, "", ""),
    ],
)
def test_whichever_bodies_there_are_come_back(members: dict[str, str], text: str, html: str) -> None:
    parts = parse({"inbox": ADDRESS, **members}).parts
    assert (parts.text, parts.html, parts.attachments) == (text, html, ())


EVIL = [
    "x\r\nEvil: 1",
    "x\nEvil: 1",
    "x\rEvil: 1",
    "x\r\n\r\nEvil: 1",
    "x\n\nEvil: 1",
    "x\0\nEvil: 1",
    "x\r\n Evil: 1",
]


@pytest.mark.parametrize("evil", EVIL)
def test_no_member_makes_a_header_of_its_own(evil: str) -> None:
    mailbox = [{"address": f"a@b.test{evil}", "name": f"Ann{evil}"}]
    raw = parse(
        {
            "inbox": ADDRESS,
            "subject": evil,
            "from": mailbox,
            "to": mailbox,
            "headers": {
                "X-Value": evil,
                "X-List": [evil, evil],
                evil: "name",
                f"{evil}: x": "name",
                "Evil:": "name",
            },
            "text": evil,
        }
    ).raw
    own = ["x-value", "x-list", "x-list", "from", "to", "subject"]
    made = ["content-type", "mime-version", "content-transfer-encoding"]
    assert [name for name, _ in mime.parse(raw).headers] == own + made
    assert [name.lower() for name, _ in message_from_bytes(raw).items()] == own + made


NAMES_MADE = {"from", "to", "cc", "bcc", "subject", "content-type", "mime-version", "content-transfer-encoding"}
ANY_TEXT = st.text(max_size=12) | st.text(
    st.sampled_from('\r\n\0 \t:"\\<>@,;\x0b\x0c\x1c\x85\u2028aX='), max_size=12
)
TOTAL = settings(max_examples=examples(80), deadline=None)


@TOTAL
@given(
    st.dictionaries(ANY_TEXT, ANY_TEXT | st.lists(ANY_TEXT, max_size=3), max_size=4), ANY_TEXT, ANY_TEXT, ANY_TEXT
)
def test_only_names_that_were_given_become_headers(
    headers: dict[str, Any], subject: str, name: str, address: str
) -> None:
    mailbox = [{"address": address, "name": name}]
    raw = rebuilt_mail({"headers": headers, "subject": subject, "from": mailbox, "to": mailbox, "text": subject})
    allowed = {name.lower() for name in headers} | NAMES_MADE
    assert {name for name, _ in mime.parse(raw).headers} <= allowed
    assert {name.lower() for name in message_from_bytes(raw)} <= allowed


PLAIN_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=40).map(
    str.strip
)


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@TOTAL
@given(PLAIN_TEXT.filter(lambda text: "=?" not in text), st.text(max_size=60), st.text(max_size=60))
def test_subject_text_and_html_come_back_whatever_they_hold(subject: str, text: str, html: str) -> None:
    parts = mime.parse(rebuilt_mail({"subject": subject, "text": text, "html": html}))
    assert (parts.subject, parts.text, parts.html) == (subject, lines(text), lines(html))
    assert parts.attachments == ()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(EVENT)) | ANY_TEXT, inner),
    max_leaves=12,
)
EVENTS = st.dictionaries(st.sampled_from([*sorted(EVENT), "email", "html", "rawEncoding"]), VALUES, max_size=12)


@TOTAL
@given(EVENTS | VALUES | EVENTS.map(lambda event: {**EVENT, **event}), st.booleans())
def test_any_json_is_deliveries_or_refused(event: object, wrapped: bool) -> None:
    try:
        delivery = parse({"status": 200, "email": event} if wrapped else event)
    except BadRequest:
        return
    assert delivery.recipients[0]
    assert delivery.raw
    assert delivery.received.tzinfo is UTC
    assert delivery.spam is None or 0 <= delivery.spam <= 1


@given(st.binary(max_size=100), st.text(st.characters(max_codepoint=255), max_size=30))
def test_any_body_of_any_content_type_is_deliveries_or_refused(body: bytes, content_type: str) -> None:
    request = post([("Content-Type", content_type.encode("latin-1"))], body)
    with pytest.raises((BadRequest, UnsupportedMediaType)):
        provider.parse(request)


class TestMailsac(SharedSecretContract):
    """Any answer but 2xx is tried again, and would end the same way."""

    name = "mailsac"
    answers = Answers(not_proven=401, unreadable=200, too_large=413)
    bodies = (EVENTS | VALUES | EVENTS.map(lambda event: {**EVENT, **event})).map(
        lambda event: json.dumps(event).encode()
    )
