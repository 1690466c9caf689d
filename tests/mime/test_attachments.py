"""The attachments of a mail: those that its message names, with what their parts say of them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import NotAMail
from relay.mime import attachments, parse
from tests.mime.test_corpus import CORPUS
from tests.mime.test_total import EXAMPLES, MAILS, PIECES

PNG = bytes(range(256))
MAIL = (
    b"Subject: two\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<img src=cid:logo@x>\r\n"
    b"--b\r\nContent-Type: image/PNG\r\nContent-ID: <logo@x>\r\nContent-Disposition: inline\r\n"
    b"Content-Transfer-Encoding: BASE64\r\n\r\n" + base64.encodebytes(PNG) + b"\r\n"
    b"--b\r\nContent-Type: text/csv; charset=utf-16; name=ignored\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''%e2%82%ac.csv\r\n\r\na;b\r\n"
    b"--b--\r\n"
)


def test_what_the_parts_say() -> None:
    logo, table = attachments.find(MAIL)
    assert (logo.checksum, logo.content) == (hashlib.md5(PNG, usedforsecurity=False).hexdigest(), PNG)
    assert (logo.content_type, logo.content_id, logo.disposition) == ("image/png", "logo@x", "inline")
    assert (logo.file_name, logo.transfer_encoding) == ("", "base64")
    assert (table.content, table.content_type, table.charset) == (b"a;b", "text/csv", "utf-16")
    assert (table.file_name, table.content_id, table.disposition) == ("€.csv", "", "attachment")
    assert table.transfer_encoding == "7bit"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b'Content-Disposition: attachment; filename="=?utf-8?Q?=C3=A4?= b.txt"', "ä b.txt"),
        (b"Content-Type: application/pdf; name=old.pdf", "old.pdf"),
        (b'Content-Disposition: attachment; filename="../../etc/passwd"', "../../etc/passwd"),
        (b'Content-Disposition: attachment; filename="gr\xfcn"', "grün"),
        (b"Content-Disposition: attachment", ""),
    ],
)
def test_names_are_decoded_and_not_yet_judged(head: bytes, name: str) -> None:
    mail = b"From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n--b\n" + head + b"\n\nx\n--b--\n"
    [one] = attachments.find(mail)
    assert (one.file_name, one.content) == (name, b"x")


def test_a_part_without_an_empty_line_says_nothing_of_the_next() -> None:
    mail = (
        b"From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n"
        b"--b\nContent-Disposition: attachment\n--b\nContent-Disposition: inline; filename=x\n\ny\n--b--\n"
    )
    assert [(one.disposition, one.content) for one in attachments.find(mail)] == [
        ("attachment", b""),
        ("inline", b"y"),
    ]


def same_as_the_message(raw: bytes) -> None:
    found = attachments.find(raw)
    try:
        parts = parse(raw)
    except NotAMail:
        assert found == []
        return
    assert tuple(one.checksum for one in found) == parts.attachments
    for one in found:
        assert one.checksum == hashlib.md5(one.content, usedforsecurity=False).hexdigest()
        "".join((one.file_name, one.content_id, one.content_type, one.charset, one.transfer_encoding)).encode()


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.eml")), ids=lambda path: path.stem)
def test_they_are_those_of_the_message(path: Path) -> None:
    same_as_the_message(path.read_bytes())


@EXAMPLES
@given(st.binary(max_size=500) | st.lists(PIECES | st.binary(max_size=3), max_size=60).map(b"".join))
def test_any_bytes(raw: bytes) -> None:
    same_as_the_message(raw)
    same_as_the_message(b"From: " + raw)


@EXAMPLES
@given(st.sampled_from(MAILS), st.data())
def test_a_mail_with_bytes_put_in(raw: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        raw = raw[:start] + data.draw(PIECES | st.binary(max_size=4)) + raw[start:]
    same_as_the_message(raw)
