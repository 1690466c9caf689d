"""Mail as it is kept, made of any JSON object: for tests that need no whole mail."""

from __future__ import annotations

import orjson

from relay.letters import layout
from relay.letters.layout import Members
from relay.message import Encoded, Kept


def kept(json: bytes, inbox: str) -> Kept:
    """What publishing takes; the members of ``json`` stand behind those that name the inbox."""
    head = layout.head(inbox)
    return Kept(layout.row(orjson.loads(json), 0).to(head), Members.seal(json).to(head))


def message_json(encoded: Encoded, inbox: str = "a@b.test", original_inbox: str = "") -> bytes:
    """The message JSON without ``_id`` that an encoded mail is for an inbox."""
    return layout.Sealed.parse(encoded.letter.to(layout.head(inbox, original_inbox))).without_id()
