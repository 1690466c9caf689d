"""Redis as the way between processes: publish, follow, fetch.

Each inbox has a letterbox (a Redis stream that holds its messages) and a doorbell (a pub/sub channel); its whole
domain has a second doorbell. publish.lua writes the one and rings the others in one atomic step. This is the
only file that knows pub/sub; accounts/ only adds notices to its own transactions.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from relay import keys
from relay.address import domain_of
from relay.errors import Unavailable
from relay.notices import Notice
from relay.store import Store

_SCRIPT = (Path(__file__).parent / "publish.lua").read_text()
_SCRIPT_SHA1 = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()  # Redis' name for it
# Redis cuts off every subscriber for whom 32 MB of pub/sub output wait (client-output-buffer-limit), so a
# doorbell stays small: each node reads a larger message from the letterbox.
_INLINE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Published:
    """The message is in Redis, under this ``_id``: ``<inbox tag><epoch>-<ms>-<seq>``."""

    message_id: str


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Nobody may have the message, and a retry would not help; ``reason`` says why in two or three words."""

    reason: str


_NOT_RESERVED = Unwanted("not reserved")  # as publish.lua says it


@dataclass(frozen=True, slots=True)
class Confirmed:
    """From now on every publish to ``channel`` is seen by this link."""

    channel: str


@dataclass(frozen=True, slots=True)
class Doorbell:
    """A message reached ``inbox``, which is ``owner``'s. ``frame`` is its JSON; None = fetch ``entry``."""

    channel: str
    owner: str
    inbox: str
    entry: str
    frame: bytes | None


class Bus:
    """Publishing, and what a node needs to follow. Every method raises Unavailable when Redis is away."""

    def __init__(self, store: Store, *, keep_messages: int, keep_seconds: int) -> None:
        self._store = store
        self._keep = (keep_messages, keep_seconds)
        self._epochs = secrets.randbits(24)

    async def publish(self, inbox: str, message: bytes) -> Published | Unwanted:
        """Stores and announces one message (:func:`relay.message.address`) for one canonical address.

        After it returns Published the message survives this process. After Unavailable it may have been stored.
        """
        outcome = await self._try_publish(inbox, message, domain_owner="")
        if outcome == _NOT_RESERVED and (owner := await self._domain_owner(domain_of(inbox))):
            return await self._try_publish(inbox, message, domain_owner=owner)
        return outcome

    async def _try_publish(self, inbox: str, message: bytes, *, domain_owner: str) -> Published | Unwanted:
        domain = domain_of(inbox)
        arguments = (
            *(inbox, domain_owner, keys.inbox_tag(inbox), self._fresh_epoch()),
            *(*self._keep, _INLINE_BYTES, keys.inbox_channel(inbox), keys.domain_channel(domain), message),
        )
        names = (keys.address(inbox), keys.meta(inbox), keys.letterbox(inbox))
        [reply] = await self._store.ask(("EVALSHA", _SCRIPT_SHA1, len(names), *names, *arguments), durable=True)
        if isinstance(reply, NoScriptError):  # this Redis has not seen it yet
            [reply] = await self._store.ask(("EVAL", _SCRIPT, len(names), *names, *arguments), durable=True)
        stored, text = _checked(reply)
        return Published(text.decode()) if stored else Unwanted(text.decode())

    def _fresh_epoch(self) -> str:
        """Six hex digits that no earlier epoch of the inbox had, but for one chance in 16 million."""
        self._epochs += 1
        return f"{self._epochs & 0xFFFFFF:06x}"

    async def _domain_owner(self, domain: str) -> str:
        [owner] = await self._store.ask(("HGET", keys.domain(domain), "owner"))
        return _checked(owner).decode() if owner else ""

    async def fetch(self, inbox: str, entry: str) -> bytes | None:
        """The JSON of one letter; None when it is no longer kept."""
        [found] = await self._store.ask(("XRANGE", keys.letterbox(inbox), entry, entry))
        letters: list[tuple[bytes, list[bytes]]] = _checked(found)
        return letters[0][1][1] if letters else None  # one entry: its id, then its one field and value

    async def link(self) -> Link:
        """A new, not yet connected, link to the doorbells."""
        await self._store.forget_idle_connections()
        return Link(self._store)


class Link:
    """One connection that follows channels. It never mends itself: after Unavailable, close it and make a new one.

    A link that reconnected silently would hide the messages that it missed meanwhile. It is a bare connection, and
    not redis-py's PubSub, because that one does reconnect, and keeps a record of each channel beside ours.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store.own_connection()

    async def subscribe(self, channels: Iterable[str]) -> None:
        """Asks for channels; :meth:`receive` returns Confirmed for each."""
        await self._send("SUBSCRIBE", channels)

    async def unsubscribe(self, channels: Iterable[str]) -> None:
        """Stops channels; doorbells under way may still arrive."""
        await self._send("UNSUBSCRIBE", channels)

    async def _send(self, verb: str, channels: Iterable[str]) -> None:
        async with self._store.call():
            await self._connection.connect()  # type: ignore[no-untyped-call]
            await self._connection.send_command(verb, *channels, check_health=False)

    async def receive(self) -> Confirmed | Doorbell | Notice | None:
        """Waits for the next event; None for one that needs no action. Raises Unavailable when the link broke."""
        try:
            kind, name, payload = await self._connection.read_response(
                timeout=math.inf, disconnect_on_error=False, push_request=True
            )
        except (RedisError, OSError) as exc:
            raise Unavailable(f"the pub/sub link to Redis broke ({type(exc).__name__})") from exc
        if kind == b"message":
            channel = name.decode()
            return Notice.decode(payload) if channel == keys.CONTROL else _doorbell(channel, payload)
        return Confirmed(name.decode()) if kind == b"subscribe" else None

    async def close(self) -> None:
        """Ends the connection. Never raises."""
        await self._connection.disconnect(nowait=True)


def _checked(reply: Any) -> Any:
    """A reply that is no error. Raises Unavailable: Redis is full, read-only, loading its data, and the like."""
    if isinstance(reply, Exception):
        raise Unavailable(f"Redis refused ({str(reply).partition(' ')[0]}); try again") from reply
    return reply


def _doorbell(channel: str, payload: bytes) -> Doorbell | None:
    parts = payload.split(b"\n", 3)
    if len(parts) != 4:
        return None  # not ours
    owner, inbox, entry, frame = parts
    return Doorbell(channel, owner.decode(), inbox.decode(), entry.decode(), frame or None)
