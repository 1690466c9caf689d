"""Ordinary mail goes by shortcuts; they say what the long way says, or leave it to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.mime import headers, tree
from tests.mime.test_corpus import CORPUS
from tests.mime.test_total import EXAMPLES, MAILS

NAMES = st.sampled_from(["Subject", "content-type", "X-Ümlaut", "X Y", "", "A", "x" * 65, "A\t"])
VALUES = st.sampled_from(
    ["", "a", " a", "\ta ", "é", "a:b", "\x0b", "\x1c", "a\r", "=?utf-8?Q?a?=", 'text/plain; charset="utf-8"']
)
LINE_ENDS = st.sampled_from(["\r\n", "\n", "\r\n ", "\n\t", "\r\n \t", "\r", "\r\n\r\n", "\n\n", "\n\r\n"])
LINES = st.tuples(NAMES, st.sampled_from([":", ":", ":", " :", ""]), VALUES, LINE_ENDS).map("".join)
BLOCKS = st.lists(LINES, max_size=8).map(lambda lines: "".join(lines).encode())

MULTIPARTS = st.tuples(
    st.sampled_from(
        ["Content-Type:", "Content-type:", "content-type:", "Content-Type :", "Content-Type: x\r\nA:"]
    ),
    st.sampled_from([" ", "", "  ", "\r\n "]),
    st.sampled_from(["multipart/mixed", "multipart/Mixed", "multipart/digest", "multipart/x-y", "text/plain", ""]),
    st.sampled_from([";", "; ", ";\r\n\t", ";\n  ", ";\r\n", " ;", "; charset=x;"]),
    st.sampled_from(["boundary=", "Boundary=", "boundary =", "boundary*=", ""]),
    st.sampled_from(['"b"', '"b "', '""', "b", '"b', '"b\\""', '"b;c"', '"b=c"', '"\r\n b"', '"é"']),
    st.sampled_from(["\r\n\r\n", "\n\n", "\r\n", "; charset=utf-8\r\n\r\n", "\r\nX: y\r\n\r\n", " \r\n\r\n", ""]),
    st.sampled_from(["", "--b\r\n", "\n", "\r\n"]),
).map(lambda pieces: "".join(pieces).encode())

PARAMETERS = st.lists(
    st.sampled_from([*'abc;;==""\\* \t\n%\'01é', "; name=", '="x y"', '="x\\\\y"', "; boundary=b", "*0*="]),
    max_size=12,
).map(lambda pieces: ("text/plain;" + "".join(pieces)).encode())


def same_block(raw: bytes) -> None:
    assert headers.split(raw, 0, len(raw)) == headers.split_carefully(raw, 0, len(raw))


def same_head(raw: bytes, start: int) -> None:
    block = headers.split_carefully(raw, start, len(raw))
    assert tree.head_at(raw, start, len(raw)) == (tree.head_of(block), block.body)


@pytest.mark.parametrize("name", sorted(path.stem for path in CORPUS.glob("*.eml")))
def test_the_corpus(name: str) -> None:
    raw = (CORPUS / f"{name}.eml").read_bytes()
    same_block(raw)
    for start in range(min(len(raw), 5_000)):
        if start == 0 or raw[start - 1] == 10:  # anywhere a part could begin
            same_head(raw, start)


@EXAMPLES
@given(BLOCKS)
def test_any_header_block(raw: bytes) -> None:
    same_block(raw)
    same_head(raw, 0)


@EXAMPLES
@given(MULTIPARTS)
def test_any_head_of_a_multipart(raw: bytes) -> None:
    same_head(raw, 0)
    same_head(b"x\n" + raw, 2)


@EXAMPLES
@given(PARAMETERS)
def test_any_parameters(value: bytes) -> None:
    assert headers.parameters(value) == headers.parameters_carefully(value)


@EXAMPLES
@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r", b"\n", b"\r\n ", b"\n "]), max_size=20).map(b"".join))
def test_any_folds(value: bytes) -> None:
    if b"\n\n" not in value and b"\n\r\n" not in value:
        assert headers.unfold(value) == headers.FOLD.sub(b" ", value)


@EXAMPLES
@given(st.sampled_from(MAILS), st.data())
def test_a_mail_with_lines_put_in(raw: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, min(len(raw), 1_500)))
        raw = raw[:start] + data.draw(BLOCKS | MULTIPARTS) + raw[start:]
    same_block(raw)
