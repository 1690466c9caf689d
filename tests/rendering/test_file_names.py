"""Names of strangers: safe to save under, and to say in a header."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.rendering.file_names import MAX_BYTES, disposition, safe

HEADER = re.compile(r'attachment; filename="[ !#-\[\]-~]+"(; filename\*=UTF-8\'\'[A-Za-z0-9%_.~-]+)?')


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system32\\cmd.exe", "cmd.exe"),
        ("a\r\nSet-Cookie: x=1", "aSet-Cookie_ x=1"),
        ('"quoted";x%00.txt', "_quoted__x_00.txt"),
        ("\u202etxt.exe", "txt.exe"),  # shown as exe.txt
        ("bü\u0308cher.txt", "bü\u0308cher.txt"),
        ("u\u0308.txt", "ü.txt"),
        ("...", ""),
        ("..", ""),
        ("", ""),
        ("dir/", ""),
        (".htaccess", "htaccess"),
        ("evil.exe. . ", "evil.exe"),
        ("NUL", "_NUL"),
        ("con.txt", "_con.txt"),
        ("a  \u00a0 b", "a b"),
        ("\0\x7f\x85\u2028\ud800\ufdd0", ""),
        ("x" * 1000 + ".tar", "x" * (MAX_BYTES - 4) + ".tar"),
        ("€" * 1000, "€" * (MAX_BYTES // 3)),
        ("x" * 10 + "." + "y" * 1000, "x" * 10 + "." + "y" * (MAX_BYTES - 11)),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert safe(name) == expected


def test_a_header_says_it_twice_when_it_is_not_ascii() -> None:
    assert disposition("a b.txt", fallback="x") == 'attachment; filename="a b.txt"'
    assert disposition("/€.txt", fallback="x") == "attachment; filename=\"_.txt\"; filename*=UTF-8''%E2%82%AC.txt"
    assert disposition("..", fallback="attachment") == 'attachment; filename="attachment"'


@given(st.text(st.characters()) | st.text('./\\:"\r\n\0 \u202e%;aé€', max_size=30))
def test_any_name(name: str) -> None:
    found = safe(name)
    assert len(found.encode()) <= MAX_BYTES
    assert found not in (".", "..")
    assert not set(found) & set('/\\"<>:|?*%;')
    assert all(unicodedata.category(character)[0] not in "C" for character in found)
    assert safe(found) == found
    header = disposition(name, fallback="attachment")
    match = HEADER.fullmatch(header)
    assert match, header
    if match[1]:
        assert unquote(match[1].partition("''")[2]) == found
