"""Whatever a text holds, it stays text."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from relay.reference.markup import join, prose, tag

TEXTS = st.text(st.characters(exclude_characters="\r\x00"), max_size=60)  # what an HTML parser changes by itself


class Read(HTMLParser):
    """The tags, the attributes and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@given(TEXTS, TEXTS)
def test_a_text_is_the_text_that_is_read(inner: str, value: str) -> None:
    read = Read(tag("p", inner, join("(", inner, ")"), class_=value))
    assert (read.tags, read.attributes, read.text) == (["p"], [("class", value)], f"{inner}({inner})")


@given(TEXTS)
def test_of_a_sentence_only_code_is_marked(says: str) -> None:
    read = Read(tag("p", prose(says)))
    assert set(read.tags) <= {"p", "code"}
    assert read.text.replace("`", "") == says.replace("`", "")


def test_attributes_and_elements_without_content() -> None:
    assert tag("input", type="search", hidden=True, disabled=False, aria_label='"') == (
        '<input type="search" hidden aria-label="&quot;">'
    )
    assert join(["a", tag("br")], "<") == "a<br>&lt;"
