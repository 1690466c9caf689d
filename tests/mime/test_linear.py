"""Sixteen times as much of the worst input takes about sixteen times as long, in CPU time of this thread."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from relay.inbound.webhook.form import unquote_carefully
from relay.mime import addresses, headers, parse
from relay.rendering.markup import tokens
from tests.cpu import within

TIMES = 16
MANY_CHARACTERS = headers.MAX_DECODED
# Linear code stays below two and a half times as much even where the larger input leaves the cache, as measured;
# quadratic code takes 256 times as long.
MOST_TIMES = 80
# What lasts less is mostly noise. Quadratic code takes seconds for the larger input.
_LEAST_SECONDS = 0.001


def cpu_seconds(work: Callable[[str], object], text: str) -> float:
    begun = time.thread_time()
    work(text)
    return time.thread_time() - begun


def is_linear(work: Callable[[str], object], head: str, unit: str) -> None:
    few, many = (head + unit * (number // len(unit)) for number in (MANY_CHARACTERS // TIMES, MANY_CHARACTERS))
    most = MOST_TIMES * max(min(cpu_seconds(work, few) for _ in range(3)), _LEAST_SECONDS)
    assert any(cpu_seconds(work, many) < most for _ in range(2))  # one may be disturbed


def test_what_is_quadratic_is_seen() -> None:
    with pytest.raises(AssertionError):
        is_linear(lambda text: [text[:end].upper() for end in range(0, len(text), 16)], "", "a")


def split(text: str) -> None:
    raw = text.encode("latin-1")
    headers.split_carefully(raw, 0, len(raw))


def parameters(text: str) -> None:
    headers.parameters_carefully(text.encode("latin-1"))


WORDS = ["=a", "?a", "?=", "=?=", "=?", "=?u?Q?", "=?u?Q?=a", "?" * 9, "=" * 9, "a", "=C3=A4", " "]


@pytest.mark.parametrize("tail", ["", "?", "=?", "?="])
@pytest.mark.parametrize("unit", WORDS)
def test_encoded_words(unit: str, tail: str) -> None:
    is_linear(lambda text: headers.decode_words(text + tail), "=?u?Q?", unit)


ADDRESSES = [
    '"a"',
    '"',
    '"<',
    '"a\\',
    "\\a",
    '"\\""',
    "<",
    '<"',
    '<"a"',
    "=?u?Q?",
    "=?u?Q?=a",
    "=a",
    "[",
    "(",
    "a ",
]


@pytest.mark.parametrize("head", ["", "<", '"', "("])
@pytest.mark.parametrize("unit", ADDRESSES)
def test_addresses(unit: str, head: str) -> None:
    is_linear(addresses.mailboxes, head, unit)


@pytest.mark.parametrize(
    "unit", ["\\", "\\a", '"', ";", "; a", ";a*1", ";a*1*", ';a="', ";a*1=x", " ", "=", "a=", "*"]
)
@pytest.mark.parametrize("head", ["", "a/b; c=", 'a/b; c="'])
def test_parameters(unit: str, head: str) -> None:
    is_linear(parameters, head, unit)


@pytest.mark.parametrize("unit", ["\n ", "\r\n\t", "a", " ", "a:\n", "a\nb:\n", "a \n", "a :", "\r"])
@pytest.mark.parametrize("head", ["", "a:", "a b\na:"])
def test_header_blocks(unit: str, head: str) -> None:
    is_linear(split, head, unit)


@pytest.mark.parametrize("unit", ["a", "=", "= ", '="', '=""', "='", "=a ", "<", '"', "a=b ", "/"])
@pytest.mark.parametrize("head", ["<a ", '<a ="', "<a b=", "<p>"])
def test_tags(unit: str, head: str) -> None:
    is_linear(lambda text: list(tokens(text)), head, unit)


@pytest.mark.parametrize("unit", ["%", "%4", "%41", "%41%", "%%41"])
def test_escapes_of_a_form(unit: str) -> None:
    is_linear(lambda text: unquote_carefully(text.encode()), "", unit)


@pytest.mark.parametrize("unit", [b"\\a", b";a*1=", b'"', b"; ", b"a"])
def test_a_mail_of_25_megabytes_that_is_one_parameter(unit: bytes) -> None:
    """What is read of it is bounded: it took 18 s, and 1.5 GB."""
    raw = b'From: a@example.com\r\nContent-Type: text/plain; name="' + unit * (25_000_000 // len(unit))
    with within(3):  # 0.3 s
        parse(raw)
