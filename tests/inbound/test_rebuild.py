"""Attachments of a rebuilt mail: what a provider's parser took out comes back as the same bytes under its name."""

from __future__ import annotations

import hashlib
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import mime
from relay.inbound.webhook.rebuild import Attachment, rebuilt_mail

EVENT = {"subject": "Files", "text": "See below.\n", "html": "<p>See <img src='cid:a@b'></p>\n"}
EVIL = "\r\nEvil: 1\r\n\r\n"


def digest(file: Attachment) -> str:
    return hashlib.md5(file.content, usedforsecurity=False).hexdigest()


def read(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def one(attachment: Attachment) -> EmailMessage:
    """The part that the attachment became, as the standard library reads it."""
    found: EmailMessage = read(rebuilt_mail(EVENT, [attachment])).get_payload()[1]  # type: ignore[assignment, index]
    return found


def test_texts_and_attachments_come_back() -> None:
    files = [Attachment(bytes(range(256)) * 9, "a.bin"), Attachment(b"", "empty.txt", "text/plain")]
    parts = mime.parse(rebuilt_mail(EVENT, files))
    assert (parts.subject, parts.text, parts.html) == tuple(EVENT.values())
    assert list(parts.attachments) == [digest(file) for file in files]


def test_a_text_that_is_a_file_is_no_text_of_the_mail() -> None:
    raw = rebuilt_mail({"text": "own"}, [Attachment(b"theirs", "", "text/plain", "c@d", inline=False)])
    assert mime.parse(raw).text == "own"


@pytest.mark.parametrize(
    ("given", "filename"),
    [
        ("a.txt", "a.txt"),
        ('quo"te\\.txt', 'quo"te\\.txt'),
        ("Grüße 日本.txt", "Grüße 日本.txt"),
        ("", None),
        ("a\r\nb.txt", "a b.txt"),
        ("😀" * 300 + ".png", "😀" * 300 + ".png"),
    ],
)
def test_names_of_files(given: str, filename: str | None) -> None:
    assert one(Attachment(b"x", given)).get_filename() == filename


@pytest.mark.parametrize(
    ("given", "content_type", "charset"),
    [
        ("image/png", "image/png", None),
        ("text/plain; name=x; charset=ISO-8859-1", "text/plain", "ISO-8859-1"),
        ('text/csv; charset="utf-8"', "text/csv", "utf-8"),
        ("", "application/octet-stream", None),
        ("nonsense", "application/octet-stream", None),
        ("multipart/mixed; boundary=x", "application/octet-stream", None),
        ("message/rfc822", "application/octet-stream", None),
        (f"image/png{EVIL}", "image/png", None),
        (f"text/x{EVIL}; charset=x{EVIL}", "text/x", "x"),
    ],
)
def test_types_of_files(given: str, content_type: str, charset: str | None) -> None:
    part = one(Attachment(b"x", "x", given))
    assert (part.get_content_type(), part.get_param("charset")) == (content_type, charset)
    assert "evil" not in part


def test_inline_and_content_id() -> None:
    part = one(Attachment(b"x", content_type="image/png", content_id="<a@b>", inline=True))
    assert (part["content-disposition"], part["content-id"]) == ("inline", "<a@b>")
    assert "content-id" not in one(Attachment(b"x", content_id=EVIL))


def test_headers_may_be_pairs_in_order() -> None:
    headers = [
        ["Received", "one"],
        ("X", f"x{EVIL}"),
        ["Received", "two"],
        ["lonely"],
        5,
        [5, "x"],
        ["x", 5],
        ["", "x"],
    ]
    parts = mime.parse(rebuilt_mail({"headers": headers}))
    assert parts.headers[:3] == (("received", "one"), ("x", "x Evil: 1"), ("received", "two"))
    assert parts.headers[3][0] == "content-type"


@given(st.lists(st.builds(Attachment, st.binary(), st.text(), st.text(), st.text(), st.booleans()), max_size=3))
def test_any_attachments_come_back_and_make_no_headers_of_their_own(files: list[Attachment]) -> None:
    raw = rebuilt_mail(EVENT, files)
    assert raw == rebuilt_mail(EVENT, files)
    parts = mime.parse(raw)
    assert (parts.text, parts.html) == (EVENT["text"], EVENT["html"])
    assert list(parts.attachments) == [digest(file) for file in files]
    names = {name.lower() for part in read(raw).walk() for name in part}
    made = {"subject", "mime-version", "content-type", "content-transfer-encoding", "content-disposition"}
    assert names <= made | {"content-id"}
