"""One stored message: whatever bytes it was made of, all that is shown of it can be shown."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import NotAMail
from relay.message import Message, encode
from relay.mime import parse
from relay.mime.attachments import Attachment
from relay.rendering import dirty
from relay.rendering.dirty import inlined
from relay.rendering.stored_mail import StoredMail
from tests.mime.test_total import EXAMPLES, MAILS, PIECES
from tests.sealed import message_json


def stored(raw: bytes) -> StoredMail:
    """As the message of the mail is stored; of what is no mail, as a sender's parser would have given it."""
    received = datetime(2026, 1, 1, tzinfo=UTC)
    try:
        parts = parse(raw)
    except NotAMail:
        return StoredMail.read(message_json(encode(Message(received, raw))))
    message = Message(received, raw, text=parts.text, html=parts.html, headers=parts.headers)
    return StoredMail.read(message_json(encode(message)))


def shown(raw: bytes) -> None:
    letter = stored(raw)
    assert letter.raw == raw
    assert raw.decode(letter.charset).encode(letter.charset) == raw
    "".join((letter.text(), letter.safe_html(), letter.dirty_html(), letter.header_block())).encode()
    for name, value in letter.headers():
        assert name == name.lower()
        value.encode()
    for attachment in letter.attachments():
        found = letter.attachment(attachment.checksum)
        assert found is not None
        assert found.content == attachment.content


@EXAMPLES
@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    shown(raw)
    shown(b"From: " + raw)


@EXAMPLES
@given(st.sampled_from([b"From: a\n", b"", *MAILS]), st.lists(PIECES | st.binary(max_size=3), max_size=40))
def test_bytes_that_look_like_mail(mail: bytes, pieces: list[bytes]) -> None:
    shown(mail + b"".join(pieces))


def image(content_id: str = "a@x", content_type: str = "image/png", content: bytes = b"png") -> Attachment:
    return Attachment("", "inline", content_id, content_type, "", "", "base64", content)


URL = f"data:image/png;base64,{base64.b64encode(b'png').decode()}"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<img src="cid:a@x">', f'<img src="{URL}">'),
        ("<img src='CID:a@x'>", f"<img src='{URL}'>"),
        ("<img src=cid:a@x>", f"<img src={URL}>"),
        ('<img src = "cid:a%40x">', f'<img src = "{URL}">'),
        ('<img src="cid:a&#64;x">', f'<img src="{URL}">'),
        ("<p style=\"background: url('cid:a@x')\">", f"<p style=\"background: url('{URL}')\">"),
        ('<p style="background: url(cid:a@x)">', f'<p style="background: url({URL})">'),
        (
            '<p style="background: url(&quot;cid:a@x&quot;)">',
            f'<p style="background: url(&quot;{URL}&quot;)">',
        ),
        ('<img src="cid:b@x">', '<img src="cid:b@x">'),
        ('<a href="https://x.test/?cid:a@x">', '<a href="https://x.test/?cid:a@x">'),
        ("the word cid:a@x", "the word cid:a@x"),
        ('<img src="cid:">', '<img src="cid:">'),
    ],
)
def test_images_that_came_along_are_written_into_it(html: str, expected: str) -> None:
    assert inlined(html, [image()]) == expected


def test_what_is_no_image_is_not() -> None:
    html = '<iframe src="cid:a@x"></iframe>'
    for kind in ("text/html", 'image/x"><script>', "application/pdf"):
        assert inlined(html, [image(content_type=kind)]) == html


def test_the_first_of_a_content_id_counts_as_it_does_when_it_is_asked_for() -> None:
    assert inlined("=cid:a@x", [image(), image(content=b"other")]) == f"={URL}"


def test_together_they_have_a_limit() -> None:
    large, small = image(content=b"x" * 3000), image(content_id="b@x")
    html = '<img src="cid:a@x">' * 2 + '<img src="cid:b@x">'
    assert inlined(html, [large, small], most=5000).count("data:") == 2  # the small one has room


def test_the_limit_grows_with_the_mail() -> None:
    assert [dirty.limit(size) for size in (0, 1 << 20, 1 << 30)] == [1 << 20, 4 << 20, 40 << 20]


def test_so_many_references_are_replaced() -> None:
    assert inlined("=cid:a@x " * 5000, [image()]).count("data:") == dirty.MAX_REFERENCES


@pytest.mark.parametrize("before", range(65_536 - 30, 65_536 + 5))
def test_a_reference_is_found_wherever_it_is(before: int) -> None:
    html = "<" * before + "<p style=\"background: url('cid:a@x')\"><img src=cid:a@x>"
    assert inlined(html, [image()]) == html.replace("cid:a@x", URL)
