"""Rebuilt mails with attachments: every byte comes back, and nothing that a stranger wrote becomes structure."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from email.policy import default
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import mime
from relay.inbound.rebuild import Attachment, rebuild

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
EVENT = {"subject": "Hello", "text": "text\n", "html": '<p>é</p><img src="cid:logo@x.test">'}


def digests(attachments: list[Attachment]) -> list[str]:
    return [md5(one.content, usedforsecurity=False).hexdigest() for one in attachments]


def leaves(raw: bytes) -> list[Message]:
    """As a library that is not ours sees it."""
    return [part for part in message_from_bytes(raw, policy=default).walk() if not part.is_multipart()]


def test_attachments_come_back_beside_the_texts() -> None:
    attachments = [
        Attachment(PNG, "logo.png", "image/png", "<logo@x.test>"),
        Attachment(b"a,b\r\n", "größe, 日本.csv", "text/csv; charset=utf-8"),
        Attachment(b"", 'a "b\\c".txt', "text/plain", "unused@x.test"),
        Attachment(PNG * 100),
    ]
    raw = rebuild(EVENT, attachments)
    parts = mime.parse(raw)
    assert (parts.text, parts.html) == (EVENT["text"], EVENT["html"])
    assert list(parts.attachments) == digests(attachments)
    text, html, logo, csv, txt, nameless = leaves(raw)
    assert [part.get_content_type() for part in (text, html, logo, csv)] == [
        "text/plain",
        "text/html",
        "image/png",
        "text/csv",
    ]
    assert [part.get_filename() for part in (logo, csv, txt, nameless)] == [
        "logo.png",
        "größe, 日本.csv",
        'a "b\\c".txt',
        None,
    ]
    assert (logo.get_content_disposition(), logo["content-id"]) == ("inline", "<logo@x.test>")
    assert {part.get_content_disposition() for part in (csv, txt, nameless)} == {"attachment"}
    assert nameless.get_content_type() == "application/octet-stream"
    assert all(len(line) <= 998 for line in raw.splitlines())


def test_an_attached_message_stays_one_and_its_parts_stay_inside() -> None:
    inner = rebuild(EVENT, [Attachment(PNG, "x.png", "image/png")])  # holds the very boundaries
    plain = b"Subject: forwarded\r\n\r\nbody"
    attachments = [Attachment(plain, "", "message/rfc822"), Attachment(inner, "mail.eml", "message/rfc822")]
    raw = rebuild({"text": "see below"}, attachments)
    assert list(mime.parse(raw).attachments) == digests(attachments)
    assert b"Content-Type: message/rfc822\r\n" in raw


@pytest.mark.parametrize(
    "content_type",
    ["multipart/mixed; boundary=b", "image/png\r\nEvil: 1", "é/x", "image", "text/plain; x=\x00", "a/b/c", ""],
)
def test_a_type_that_cannot_be_is_that_of_any_bytes(content_type: str) -> None:
    [_, part] = leaves(rebuild({"text": "t"}, [Attachment(PNG, "x", content_type)]))
    assert part.get_content_type() == "application/octet-stream"
    assert part.get_payload(decode=True) == PNG


def test_pairs_of_headers_keep_their_order_and_their_repetitions() -> None:
    pairs = [
        ["Received", "one"],
        ["X", "1"],
        ("Received", "two"),
        ["broken"],
        None,
        ["Y", 5],
        [5, "Z"],
        ["W", ["1", "2"]],
    ]
    names = [
        pair for pair in mime.parse(rebuild({"headers": pairs})).headers if not pair[0].startswith(("c", "m"))
    ]
    assert names == [("received", "one"), ("x", "1"), ("received", "two"), ("w", "1"), ("w", "2")]


ANY = st.text(max_size=20) | st.text(st.sampled_from('\r\n\0 ";=<>:\\-_/é'), max_size=20)
ATTACHMENTS = st.builds(
    Attachment,
    st.binary(max_size=200) | st.sampled_from([b"--=_mixed", b"\r\n--=_mixed--\r\n", b"\r\n", b"\n"]),
    ANY,
    ANY | st.sampled_from(["image/png", "text/plain", "TEXT/HTML", "message/rfc822", "message/delivery-status"]),
    ANY | st.just("logo@x.test"),
)
MADE = {"subject", "content-type", "mime-version", "content-transfer-encoding"}


@given(
    st.lists(ATTACHMENTS, max_size=4),
    st.sampled_from(["", "t\n", "--=_mixed\n"]),
    st.sampled_from(["", EVENT["html"]]),
)
def test_whatever_is_attached_comes_back_and_makes_no_part_of_its_own(
    attachments: list[Attachment], text: str, html: str
) -> None:
    raw = rebuild({"subject": "s", "text": text, "html": html}, attachments)
    parts = mime.parse(raw)
    assert (parts.text, parts.html) == (text, html)
    assert sorted(parts.attachments) == sorted(digests(attachments))
    assert {name for name, _ in parts.headers} <= MADE
