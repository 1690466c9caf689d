"""The parameters of lists: a value, or a 400 that says what can be meant; whatever comes."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from relay.accounts.rights import Rights
from relay.api import listing
from relay.api.rest import Call
from relay.errors import BadRequest


def call(**query: str) -> Call:
    text = urlencode(query, errors="replace").encode()
    return Call(Rights("user1"), Request({"type": "http", "query_string": text, "headers": []}), {})


@given(st.text() | st.from_regex(r"[0-9TZ:. +-]{1,40}") | st.datetimes().map(str))
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59-23:59")
@example("99999999999999999999999999")
@example("999999999999999")
def test_any_text_is_a_parameter_or_refused(text: str) -> None:
    for parse in (listing.limit, listing.skip, listing.until, lambda asked: listing.time_ms(asked, "until")):
        with suppress(BadRequest):
            parse(call(limit=text, skip=text, until=text))


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("2026-01-31", 1769817600000),
        ("2026-01-31T12:00:00.123Z", 1769860800123),
        ("2026-01-31T12:00:00", 1769860800000),
        ("2026-01-31T12:00:00+01:00", 1769857200000),
        ("2026-01-31T12:00:00 01:00", 1769857200000),  # "+" in a query is a blank
        ("1769860800123", 1769860800123),
        ("1960-01-01", 0),
        ("", None),
    ],
)
def test_times(text: str, expected_ms: int | None) -> None:
    assert listing.time_ms(call(until=text), "until") == expected_ms
