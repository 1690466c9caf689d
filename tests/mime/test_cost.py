"""What hostile mail costs to parse: CPU of this thread, and memory in times of the mail's size."""

from __future__ import annotations

import tracemalloc

import pytest

from relay import mime
from siege.mails import MAILS
from tests.cpu import within

_BYTES = 4_000_000
# Of 25 MB 2.5 s on an ordinary machine may be spent, with all that follows. A slow one takes three times as long.
_SECONDS = 1.0
# Beside the mail. Six times are a text of which each character takes four bytes, and its lines' ends mended.
_TIMES = 7


@pytest.mark.parametrize("name", MAILS)
def test_any_mail(name: str) -> None:
    raw = MAILS[name](_BYTES)
    with within(_SECONDS):
        mime.parse(raw)


@pytest.mark.parametrize(
    "name",
    ["text", "Latin-1 as UTF-8", "folded header", "uuencoded !!", "uuencoded empty lines", "recipients", "parts"],
)
def test_memory(name: str) -> None:
    """Of those whose lists took fifty times their size; tracing what is quick alone, because it takes long."""
    raw = MAILS[name](_BYTES // 4)
    tracemalloc.start()
    try:
        mime.parse(raw)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < _TIMES * len(raw)
