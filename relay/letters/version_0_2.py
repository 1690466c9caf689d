"""Letters of version 0.2, put into the form of now as well when somebody touches their inbox. Version 0.4 may forget
it.

That version keeps the message JSON in a stream of the inbox. It stays there until it expires, so that who goes back
to that version finds it. The hash of the inbox says up to which message all are in the index, and publish.lua puts
nothing behind one that is not: so the order stays. Who does the same at the same time does no harm.
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
_ADOPTED = Script.load("letters/lua/adopted.lua")
BOTH_FORMS_SECONDS = 24 * 3600  # after version 0.2 was seen last, or kept its last mail
_THREAD_BYTES = 128 * 1024
_HEAD = ("_id", "inbox", "originalInbox", "domain")


async def look_around(store: Store) -> None:
    """Notes when processes of version 0.2 are there: mail is kept as they want it from now on. Raises Unavailable.

    All processes follow one channel, and those of this version another. The nodes of a cluster do not know all links.
    """
    if store.clustered:
        return
    [(_, everybody, _, ours)] = await store.ask(("PUBSUB", "NUMSUB", keys.CONTROL, keys.FORM))
    if int(everybody) > int(ours):
        await store.ask(("SET", keys.OLD_FORM, 1, "EX", BOTH_FORMS_SECONDS))


async def adopt(store: Store, inbox: str, *, keep_seconds: int) -> None:
    """Returns when the index of the inbox has all that was kept when this was called. Raises Unavailable."""
    [(seq, indexed, ms), (seconds, _)] = await store.ask(
        ("HMGET", keys.meta(inbox), "seq", "indexed", "ms"), ("TIME",)
    )
    if seq is None or int(seq) <= int(indexed or 0):
        return
    if (left := int(ms) // 1000 + BOTH_FORMS_SECONDS - int(seconds)) > 0:
        await store.ask(("SET", keys.OLD_FORM, 1, "EX", left))
    at = "-"
    while rows := (await store.ask(("XRANGE", keys.letterbox(inbox), at, "+", "COUNT", 1)))[0]:
        entry = rows[0][0].decode()
        at = f"({entry}"
        if int(entry.partition("-")[2]) > int(indexed or 0):
            await _take(store, inbox, rows[0], keep_seconds * 1000)
    await store.run(_ADOPTED, keys=[keys.meta(inbox)], args=[seq])


async def _take(store: Store, inbox: str, row: tuple[bytes, list[bytes]], keep_ms: int) -> None:
    entry, fields = row[0].decode(), dict(zip(row[1][::2], row[1][1::2], strict=True))
    frame = fields.get(b"m", b"")
    large = len(frame) > _THREAD_BYTES
    kept = await asyncio.to_thread(_sealed, inbox, frame) if large else _sealed(inbox, frame)
    message, shown, letter = kept or (None, b"", b"")
    names = keys.index(inbox), keys.letter(inbox, ""), keys.meta(inbox)
    ms, _, seq = entry.partition("-")
    args = (
        *(entry, fields.get(b"o", b"").decode(), message.epoch if message else "", seq, ms, keep_ms),
        *(len(shown) + len(letter), "" if store.clustered else keys.ACCOUNT_KEPT, shown, letter),
    )
    await store.run(_ADOPT, keys=names, args=args)


def _sealed(inbox: str, frame: bytes) -> tuple[MessageId, bytes, bytes] | None:
    """``_id``, row and letter; None when it is no message JSON."""
    try:
        shape: dict[str, Any] = orjson.loads(frame)
        message = MessageId.parse(shape["_id"])
        recipient = head(inbox, shape["originalInbox"])
        members = {name: value for name, value in shape.items() if name not in _HEAD}
        raw = str(members["raw"]).encode(members.get("rawEncoding", "utf-8"))
        row, letter = layout.row(members, layout.octets(raw)), Members.seal(orjson.dumps(members))
        return message, row.to(recipient), letter.to(recipient)
    except (orjson.JSONDecodeError, BadMessageId, KeyError, TypeError, AttributeError, UnicodeError, LookupError):
        return None
