"""The mails of the benchmark compress as real mail does: else a form that compresses would look better than it is."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime

import pytest

from bench.mail import MAILS, Mail, text
from relay import message, mime
from tests import sealed


def message_json(mail: bytes) -> bytes:
    parsed = mime.parse(mail)
    shape = message.Message(
        received=datetime.now(UTC), raw=mail, sender=parsed.sender, to=parsed.to, subject=parsed.subject,
        headers=parsed.headers, text=parsed.text, html=parsed.html, attachments=parsed.attachments,
        links=parsed.links,
    )  # fmt: skip
    return sealed.message_json(message.encode(shape), "reader@mail.test")


def deflated(data: bytes, level: int = 6) -> float:
    """The share that is left."""
    return len(zlib.compress(data, level)) / len(data)


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_has_the_size_of_its_name(name: str) -> None:
    number, unit = re.match(r"(\d+) (\w+)", name).groups()  # type: ignore[union-attr]
    size = int(number) * {"KB": 1_000, "MB": 1_000_000, "MiB": 1 << 20}[unit]
    assert abs(len(MAILS[name]()) - size) < size * 0.03
    assert len(MAILS[name]()) <= 25 << 20  # relay's limit


@pytest.mark.parametrize(
    ("size_bytes", "low", "high"), [(2_500, 0.45, 0.55), (10_000, 0.40, 0.47), (30_000, 0.36, 0.42)]
)
def test_text_is_as_hard_to_compress_as_prose(size_bytes: int, low: float, high: float) -> None:
    """Sizes as in RFCs, licences and READMEs: 45 to 50 %, 37 to 44 %, 35 to 37 %."""
    assert low < deflated(text(size_bytes).encode()) < high


def test_a_long_text_repeats_nothing_that_deflate_would_see() -> None:
    assert deflated(text(2_000_000).encode()) > 0.36


def test_the_json_of_a_small_mail_compresses_to_about_three_tenths() -> None:
    assert 0.26 < deflated(message_json(MAILS["3 KB"]().numbered(1))) < 0.35


@pytest.mark.parametrize("name", ["3 KB", "30 KB", "100 KB"])
def test_a_mail_itself_compresses_no_better_than_a_newsletter(name: str) -> None:
    assert deflated(MAILS[name]().numbered(1)) > 0.25


def test_an_attachment_hardly_compresses() -> None:
    assert 0.7 < deflated(MAILS["1 MB"]().numbered(1)) < 0.8


def test_no_two_mails_are_equal() -> None:
    mail: Mail = MAILS["3 KB"]()
    one, other = mail.numbered(1), mail.numbered(2)
    assert len(one) == len(other) == len(mail)
    assert one != other
    assert mime.parse(one).subject != mime.parse(other).subject
