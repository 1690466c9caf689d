"""Redis as the way between processes: publish, follow, fetch.

Each inbox has a letterbox (a Redis stream that holds its messages) and a doorbell (a pub/sub channel); its whole
domain has a second doorbell. publish.lua writes the one and rings the others in one atomic step. This is the
only file that knows pub/sub; accounts/ only adds notices to its own transactions.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from relay import keys
from relay.address import domain_of
from relay.errors import Unavailable
from relay.notices import Notice
from relay.store import Client, Store

_SCRIPT = (Path(__file__).parent / "publish.lua").read_text()
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
        self._publish = store.client.register_script(_SCRIPT)

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
            *(inbox, domain_owner, keys.inbox_tag(inbox), secrets.token_hex(3)),
            *(*self._keep, _INLINE_BYTES, keys.inbox_channel(inbox), keys.domain_channel(domain), message),
        )
        names = (keys.address(inbox), keys.meta(inbox), keys.letterbox(inbox))
        async with self._store.call():
            stored, text = cast("tuple[int, bytes]", await self._publish(keys=names, args=arguments))
        return Published(text.decode()) if stored else Unwanted(text.decode())

    async def _domain_owner(self, domain: str) -> str:
        async with self._store.call() as client:
            owner = cast("bytes | None", await client.hget(keys.domain(domain), "owner"))
        return owner.decode() if owner else ""

    async def fetch(self, inbox: str, entry: str) -> bytes | None:
        """The JSON of one letter; None when it is no longer kept."""
        async with self._store.call() as client:
            found = cast(
                "list[tuple[bytes, dict[bytes, bytes]]]",
                await client.xrange(keys.letterbox(inbox), entry, entry, count=1),
            )
        return found[0][1][b"m"] if found else None

    async def ping(self) -> None:
        """Returns when Redis answers."""
        async with self._store.call() as client:
            await client.ping()

    async def link(self) -> Link:
        """A new, not yet connected, link to the doorbells."""
        await self._store.forget_idle_connections()
        return Link(self._store.client, self._store)


class Link:
    """One pub/sub connection. It never mends itself: after Unavailable, close it and make a new one.

    A link that reconnected silently would hide the messages that it missed meanwhile.
    """

    def __init__(self, client: Client, store: Store) -> None:
        self._store = store
        self._pubsub: PubSub = client.pubsub()

    async def subscribe(self, channels: Iterable[str]) -> None:
        """Asks for channels; :meth:`receive` returns Confirmed for each."""
        async with self._store.call():
            await self._pubsub.subscribe(*channels)

    async def unsubscribe(self, channels: Iterable[str]) -> None:
        """Stops channels; doorbells under way may still arrive."""
        async with self._store.call():
            await self._pubsub.unsubscribe(*channels)

    async def receive(self) -> Confirmed | Doorbell | Notice | None:
        """Waits for the next event; None for one that needs no action. Raises Unavailable when the link broke."""
        try:
            event = await self._pubsub.get_message(timeout=None)
        except (RedisError, OSError) as exc:
            raise Unavailable(f"the pub/sub link to Redis broke ({type(exc).__name__})") from exc
        if event is None or event["type"] not in ("message", "subscribe"):
            return None
        channel = event["channel"].decode()
        if event["type"] == "subscribe":
            return Confirmed(channel)
        return Notice.decode(event["data"]) if channel == keys.CONTROL else _doorbell(channel, event["data"])

    async def close(self) -> None:
        """Ends the connection. Never raises."""
        try:
            async with self._store.call():
                await self._pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py has no types here
        except Unavailable:
            pass  # it was broken: that is why it is being closed


def _doorbell(channel: str, payload: bytes) -> Doorbell | None:
    parts = payload.split(b"\n", 3)
    if len(parts) != 4:
        return None  # not ours
    owner, inbox, entry, frame = parts
    return Doorbell(channel, owner.decode(), inbox.decode(), entry.decode(), frame or None)
