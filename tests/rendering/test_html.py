"""HTML of strangers: what is shown of it, and that no bomb goes off."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.rendering.markup import MAX_CHARACTERS, MAX_TOKENS, names, tokens
from relay.rendering.order import MAX_DEPTH, MAX_FORMATTING, in_order
from relay.rendering.plain import as_text
from relay.rendering.safe import safe_html
from tests.cpu import within
from tests.examples import examples

EXAMPLES = settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.too_slow])
TOO_LARGE = "the rest of this message is too large to be shown here"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a <b>b</b></p>", "<p>a <b>b</b></p>"),
        ("<script>alert(1)</script>x", "x"),
        ("<SCRIPT src=//x.test/a.js></SCRIPT >x", "x"),
        ("<style>@import 'https://x.test'</style>x<title>t</title>", "x"),
        ('<img src="https://x.test/pixel.png">x', "x"),
        ("<img src=x onerror=alert(1)//>x", "x"),
        ('<a href="https://x.test">go</a>', "go"),
        ('<a href="javascript:alert(1)">go</a>', "go"),
        ('<p onclick="x()" id=i class=c title=t>a</p>', "<p>a</p>"),
        ('<body background="https://x.test/b.png">x</body>', "x"),
        (
            '<table background="https://x.test/b.png"><tr><td>x',
            "<table><tbody><tr><td>x</td></tr></tbody></table>",
        ),
        ('<meta http-equiv=refresh content="0;https://x.test">x<base href=//x.test><link href=//x.test>', "x"),
        ('<form action="https://x.test"><input value=v><button>b</button></form>', "b"),
        ("<svg><script>alert(1)</script><image href=//x.test></svg>x", "x"),
        ("<math><mtext><style><img src=x onerror=alert(1)></style></math>x", "x"),
        ("<iframe src=//x.test>in</iframe><object data=//x.test></object><embed src=//x.test>x", "x"),
        ("<noscript><p title='</noscript><img src=x onerror=alert(1)>'>x", "<p>x</p>"),
        ("<!--[if mso]><p>word</p><![endif]-->x<!-->y<!--->z<!-- <b> --!>!", "xyz!"),
        ('<blockquote cite="https://x.test">x</blockquote>', "<blockquote>x</blockquote>"),
        ('<p style="color: red; position: fixed; background: url(//x.test)">x</p>', "<p>x</p>"),
        ('<p style="color: red; position: fixed; top: 0">x</p>', '<p style="color:red">x</p>'),
        ('<p style="color: rgb(1, 2, 3)">x</p>', '<p style="color:rgb(1, 2, 3)">x</p>'),
        ('<p style="color: URL(//x.test)">x</p>', "<p>x</p>"),
        (r'<p style="color: u\72l(//x.test)">x</p>', "<p>x</p>"),
        ('<p style="color: &#117;rl(//x.test)">x</p>', "<p>x</p>"),
        ("1 < 2 && 3 > 2 &lt;b&gt;", "1 &lt; 2 &amp;&amp; 3 &gt; 2 &lt;b&gt;"),
        ("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>"),
        ("<p>a<p>b<div>c", "<p>a</p><p>b</p><div>c</div>"),
        (
            "<div><table><tr><td>a</div>b</td><td>c",
            "<div><table><tbody><tr><td>ab</td><td>c</td></tr></tbody></table></div>",
        ),
        ("<b><i>x</b>y</i>", "<b><i>x</i></b>y"),
        ("a<b", "a"),
        ('a<p title="never closed>b', "a"),
        ("a<br>b<br/>c<hr>", "a<br>b<br>c<hr>"),
        ("é€😀", "é€😀"),
    ],
)
def test_what_is_safe(html: str, expected: str) -> None:
    assert safe_html(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>Hello,</p><p>two\n  words &amp;&nbsp;more</p>", "Hello,\n\ntwo words & more\n"),
        ("a<br>b<br><br>c", "a\nb\n\nc\n"),
        ("<ul><li>a</li><li><b>b</b> c</li></ul>d", "- a\n- b c\n\nd\n"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n"),
        ("<pre>a  b\n c</pre>d", "a  b\n c\n\nd\n"),
        ("<style>x</style><script>y</script><title>t</title>z", "z\n"),
        ('<a href="https://x.test/">link</a> <img src=x alt="a logo">', "link a logo\n"),
        ("<div>a</div><div>b</div>", "a\nb\n"),
        ("fat<b>er</b> man", "fater man\n"),
        ("<!-- no --> \r\n\t ", ""),
        ("", ""),
    ],
)
def test_text_of_html(html: str, expected: str) -> None:
    assert as_text(html) == expected


BOMBS = {
    "unclosed": "<b>",
    "deep": "<div>",
    "tables": "<table><tr><td>",
    "outside of cells": "<table>x",
    "lists": "<ul><li>",
    "line": "<p><b>x<div>y",
    "no tag": "<",
    "unquoted": '<a ="',
    "comments": "<!-->",
    "one comment": "<!--",
    "ampersands": "&",
    "half references": "&amp",
    "skipped": "<script>",
    "blanks": " ",
    "attributes": "<p a=1 b=2 ",
    "text": "abc ",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_ten_megabytes_of_anything_take_no_time(bomb: str) -> None:
    html = bomb * (10_000_000 // len(bomb))
    with within(6):  # ten times what it takes; nh3 alone would take minutes for most
        shown = safe_html(html) + as_text(html)
    assert len(shown) < 4 * MAX_CHARACTERS


def test_what_a_parser_would_open_again_in_every_block() -> None:
    crosswise = "<p>" + "".join(f"<b a={number}>" for number in range(5000)) + "</p>" + "<div>x</div>" * 5000
    with within(3):
        shown = safe_html(crosswise)
    assert len(shown) < len(crosswise)


def test_many_attributes_in_one_tag() -> None:
    for attributes, shown in ((9_000, "<p>x</p>"), (200_000, "")):
        assert safe_html("<p " + " ".join(f"a{number}=1" for number in range(attributes)) + ">x</p>") == shown


def test_what_is_too_large_is_cut_and_says_so() -> None:
    for html in ("word " * MAX_CHARACTERS, "<br>" * (MAX_TOKENS + 1), "<b>&lt;</b>" * MAX_TOKENS):
        assert TOO_LARGE in safe_html(html)[-200:]
        assert as_text(html).strip().endswith("has all of it]")
    assert TOO_LARGE not in safe_html("<br>" * MAX_TOKENS)
    assert TOO_LARGE not in safe_html("w" * MAX_CHARACTERS)
    # An image that is written into the mail is left out anyhow.
    assert safe_html(f'<img src="data:image/png;base64,{"A" * 2 * MAX_CHARACTERS}">x') == "x"


class _Tags(HTMLParser):
    """What a page holds, by a reader that is not ours."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.values: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.values += [value or "" for _, value in attrs]


NEVER = names(
    "a area base body embed form iframe image img input link math meta object script style svg title video"
)
MARKUP = (
    "<p>|</p>|<b>|</b>|<i a=1>|</i>|<table>|</table>|<td>|<tr>|</td>|<li>|<a href=javascript:x>|</a>|<script>|"
    "</script>|<style>|</style>|<svg>|<math>|<mtext>|</svg>|<img src=x onerror=y>|<p style='color:url(x)'>|"
    "<p style='color:red'|<!--|-->|<![CDATA[|]]>|<|>|&|&lt;|&#x3c;|'|=|/|x| |\0|\xa0|<textarea>|</textarea>|"
    '<title>|</title>|<select>|<template>|</template>|<frameset>|<plaintext>|<noscript>|<form>|<input>|<br/>|"'
)
PIECES = st.sampled_from(MARKUP.split("|"))


@EXAMPLES
@given(st.text(max_size=60) | st.lists(PIECES | st.text(max_size=2), max_size=40).map("".join))
def test_whatever_comes_is_made_safe(html: str) -> None:
    shown = safe_html(html)
    (shown + as_text(html)).encode()
    seen = _Tags()
    seen.feed(shown)
    assert not seen.tags & NEVER
    assert not {name for name in seen.attributes if name.startswith("on")}
    assert not [value for value in seen.values if re.search(r"url\(|javascript:", value, re.IGNORECASE)]


@EXAMPLES
@given(st.lists(PIECES, max_size=80).map("".join))
def test_what_is_in_order_is_well_nested_and_shallow(html: str) -> None:
    opened: list[str] = []
    for token in tokens(in_order(html * 20)):
        if token.closing:
            assert opened.pop() == token.name
        elif token.name and token.name not in ("br", "hr", "col", "wbr"):
            opened.append(token.name)
            assert len(opened) <= MAX_DEPTH
            assert len([name for name in opened if name in ("b", "i")]) <= MAX_FORMATTING
    assert not opened
