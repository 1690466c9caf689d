"""An event is a sentence, whatever another version wrote into it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.activity.concerns import concerns
from relay.activity.kinds import Kind, shown
from relay.activity.sentences import sentence

NAMES = (
    "inbox",
    "from",
    "size",
    "reason",
    "code",
    "status",
    "provider",
    "parked",
    "sockets",
    "messages",
    "missing",
    "waits",
)
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), st.lists, max_leaves=3)


@given(st.sampled_from([*Kind, "of a newer version"]), st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_each_event_is_one(kind: str, members: dict[str, Any]) -> None:
    assert sentence(kind, members).endswith(".")


@pytest.mark.parametrize(
    ("sockets", "waits", "to"),
    [
        (1, 0, "1 socket"),
        (0, 2, "2 requests that wait"),
        (2, 1, "2 sockets and 1 request that waits"),
    ],
)
def test_to_whom_a_mail_was_handed(sockets: int, waits: int, to: str) -> None:
    members = {"inbox": "a@x.test", "sockets": sockets} | ({"waits": waits} if waits else {})
    assert sentence(Kind.DELIVERED, members) == f"Mail for a@x.test was handed to {to}."


@pytest.mark.parametrize("reason", ["not reserved", "forwarding off", "too large", "{inbox.__class__}", "{"])
def test_what_strangers_wrote_is_not_a_template(reason: str) -> None:
    text = sentence(Kind.REFUSED, {"inbox": "{reason}@x.test", "reason": reason})
    assert "for {reason}@x.test was refused, because " in text


@pytest.mark.parametrize(
    ("event", "whether"),
    [
        ({"inbox": "a@x.test"}, True),
        ({"inbox": "a+tag@x.test", "near": "a@x.test"}, True),
        ({"addresses": "b@x.test, a@x.test"}, True),
        ({"addresses": "x.test"}, True),
        ({"addresses": "b@x.test, c@x.test and 3 more"}, True),
        ({"missing": 3}, True),
        ({"addresses": "aa@x.test, a@x.test.test, sub.x.test"}, False),
        ({"addresses": ["a@x.test"]}, False),
        ({"inbox": "b@x.test", "text": "a@x.test"}, False),
        ({}, False),
    ],
)
def test_what_an_event_concerns(event: dict[str, Any], whether: bool) -> None:
    assert concerns("a@x.test", event) is whether


@given(st.text())
def test_what_is_shown_is_short_and_commands_no_terminal(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 320
