"""How a Fetch is kept: it comes back as it was, and any other bytes are refused."""

from __future__ import annotations

import json
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.errors import BadRequest
from relay.inbound.webhook.fetch_codec import decode, encode
from relay.inbound.webhook.provider import Fetch
from tests.inbound.json_events import damaged
from tests.inbound.posts import NOW

FETCH = Fetch(
    urls=("https://api.brevo.com/a", "https://api.brevo.com/b"),
    with_key=True,
    post=b'{"items": []}',
    received=NOW,
    event="id:1",
    retry_seconds=60,
    headers=(("content-type", "application/json"), ("svix-id", "\xfc")),
    accept="message/rfc2822",
)
# Latin-1, as headers are decoded; JSON of a provider holds no half surrogate pair (values.py).
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2, minutes=30))]))


@given(
    st.builds(
        Fetch,
        urls=st.lists(TEXTS).map(tuple),
        with_key=st.booleans(),
        post=st.binary() | st.just(b"\n{}\n"),
        received=MOMENTS,
        event=TEXTS.map("id:{}.".format),
        retry_seconds=st.integers(0, 1 << 40),
        headers=st.lists(st.tuples(TEXTS, TEXTS)).map(tuple),
        accept=TEXTS.map("a/{}b".format),
    )
)
def test_what_is_kept_comes_back(fetch: Fetch) -> None:
    assert decode(encode(fetch)) == fetch


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary() | damaged(json.loads(encode(FETCH).partition(b"\n")[0])))
def test_any_other_bytes_are_a_fetch_or_refused(kept: bytes) -> None:
    try:
        fetch = decode(kept)
    except BadRequest:
        return
    assert all(isinstance(url, str) for url in fetch.urls)
    assert fetch.received.tzinfo
    assert fetch.event
    assert decode(encode(fetch)) == fetch


@pytest.mark.parametrize(
    "changes",
    [
        {"urls": "https://a.test"},
        {"urls": [1]},
        {"headers": [["a"]]},
        {"headers": {}},
        {"received": "2026-09-01"},
        {"received": None},
        {"event": ""},
        {"retry_seconds": "60"},
    ],
)
def test_what_another_version_may_have_written_is_refused(changes: dict[str, object]) -> None:
    head, _, post = encode(FETCH).partition(b"\n")
    with pytest.raises(BadRequest, match="another version"):
        decode(json.dumps(json.loads(head) | changes).encode() + b"\n" + post)
