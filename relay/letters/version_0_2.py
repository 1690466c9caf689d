"""Letters of version 0.2, taken into the form of now when somebody touches their inbox. Version 0.4 may forget it.

That version kept the message JSON in a stream of the inbox. Nothing new is put behind it before it is empty
(publish.lua asks for that), so the order stays. Each letter is one step of its own, and who does the same at the same
time does no harm.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from relay.letters import layout
from relay.letters.layout import Members, head
from relay.message_id import BadMessageId, MessageId
from relay.store import Script, Store, keys

_ADOPT = Script.load("letters/lua/adopt.lua")
_THREAD_BYTES = 128 * 1024
_HEAD = ("_id", "inbox", "originalInbox", "domain")


async def adopt(store: Store, inbox: str, *, keep_seconds: int) -> None:
    """Returns when the inbox has no letter of version 0.2. Raises Unavailable."""
    more = True
    while more:
        [rows] = await store.ask(("XRANGE", keys.letterbox(inbox), "-", "+", "COUNT", 1))
        if not rows:
            return
        more = await _take(store, inbox, rows[0], keep_seconds * 1000)


async def _take(store: Store, inbox: str, row: tuple[bytes, list[bytes]], keep_ms: int) -> bool:
    """Whether there is another."""
    entry, fields = row[0].decode(), dict(zip(row[1][::2], row[1][1::2], strict=True))
    frame = fields.get(b"m", b"")
    kept = await asyncio.to_thread(_sealed, inbox, frame) if len(frame) > _THREAD_BYTES else _sealed(inbox, frame)
    message, shown, letter = kept or (None, b"", b"")
    names = (
        keys.index(inbox),
        keys.letter(inbox, ""),
        keys.meta(inbox),
        keys.letterbox(inbox),
        keys.letter_ids(inbox),
    )
    args = (
        *(entry, fields.get(b"o", b"").decode(), message.epoch if message else "", len(shown) + len(letter)),
        *(keep_ms, message.ms if message else 0, "" if store.clustered else keys.ACCOUNT_KEPT, shown, letter),
    )
    more: int = await store.run(_ADOPT, keys=names, args=args)
    return bool(more)


def _sealed(inbox: str, frame: bytes) -> tuple[MessageId, bytes, bytes] | None:
    """``_id``, row and letter; None when it is no message JSON."""
    try:
        shape: dict[str, Any] = orjson.loads(frame)
        message = MessageId.parse(shape["_id"])
        recipient = head(inbox, shape["originalInbox"])
        members = {name: value for name, value in shape.items() if name not in _HEAD}
        raw = str(members["raw"]).encode(members.get("rawEncoding", "utf-8"))
        return (
            message,
            layout.row(members, layout.octets(raw)).to(recipient),
            Members.seal(orjson.dumps(members)).to(recipient),
        )
    except (orjson.JSONDecodeError, BadMessageId, KeyError, TypeError, AttributeError, UnicodeError, LookupError):
        return None
