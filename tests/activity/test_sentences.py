"""An event is a sentence, whatever another version wrote into it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.activity.kinds import Kind, shown
from relay.activity.sentences import sentence

NAMES = ("inbox", "sender", "size", "reason", "code", "status", "door", "parked", "sockets", "messages", "missing")
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), st.lists, max_leaves=3)


@given(st.sampled_from([*Kind, "of a newer version"]), st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_each_event_is_one(kind: str, members: dict[str, Any]) -> None:
    assert sentence(kind, members).endswith(".")


@pytest.mark.parametrize("reason", ["not reserved", "forwarding off", "too large", "{inbox.__class__}", "{"])
def test_what_strangers_wrote_is_not_a_template(reason: str) -> None:
    text = sentence(Kind.REFUSED, {"inbox": "{reason}@x.test", "reason": reason})
    assert "for {reason}@x.test was refused, because " in text


@given(st.text())
def test_what_is_shown_is_short_and_commands_no_terminal(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 320
