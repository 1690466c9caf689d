"""Redis as the way between processes: publish, follow, probe.

Each inbox has letters, an index of them (letterbox.py), and a doorbell (a pub/sub channel); its whole domain has a
second doorbell. publish.lua keeps the letter and rings the doorbells in one atomic step. This is the only file that
knows pub/sub; accounts/ only adds notices to its own transactions.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from relay import clock
from relay.address import domain_of
from relay.delivery import doorbells
from relay.delivery.brought import Brought
from relay.delivery.doorbells import Confirmed, LinkEvent
from relay.errors import Unavailable
from relay.letters.layout import Sealed
from relay.letters.retention import Retention
from relay.letters.version_0_2 import adopt, look_around
from relay.message import Kept
from relay.store import Script, Store, keys

_PUBLISH = Script.load("delivery/lua/publish.lua")
# What a script is given, it hashes byte by byte, several times. A larger letter is brought beside it, and each node
# reads it from the letterbox: Redis also cuts off every subscriber for whom 32 MB of pub/sub output wait.
_INLINE_BYTES = 8 * 1024
_BESIDE_MS = 60_000  # for which a letter is kept that was brought, but not published
_ALONE_BYTES = 256 * 1024  # what is larger takes a connection of its own, so that small mail need not wait for it


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What a provider calls the thing that it posts, so that a post it repeats is known again."""

    name: str  # unique among all providers: begins with the provider's name
    retry_seconds: int  # for which the provider may post it again


@dataclass(frozen=True, slots=True)
class Published:
    """The message is in Redis, under this ``_id`` (message_id.py)."""

    message_id: str
    repeated: bool = False  # it was there already: the provider has posted the event before
    owner: str = ""  # account whose mail it is; "" = not known: it was there already, for the owner of the domain
    heard: bool | None = None  # whether a process listens to the inbox or its domain; None = not known


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Nobody may have the message, and a retry would not help; ``reason`` says why in two or three words."""

    reason: str
    owner: str = ""  # account that has the inbox; "" = nobody


_NOT_RESERVED = Unwanted("not reserved")  # as publish.lua says it
_UNWANTED, _STORED, _REPEATED, _OLD_LETTERS, _BESIDE_IS_GONE, _OLD_FORM = range(6)  # outcomes of publish.lua
_TRIES = 4  # each outcome that asks for something else comes once, as a rule


class _Names(NamedTuple):
    """What publish.lua needs by name for an inbox."""

    domain: str
    tag: str
    address: str
    meta: str
    rows: str
    letters: str
    old_letters: tuple[str, str]
    keys_elsewhere: tuple[str, ...]
    channels: tuple[str, str]


@lru_cache(maxsize=8192)  # two MiB; the same inboxes get mail again and again
def _names(inbox: str) -> _Names:
    domain = domain_of(inbox)
    return _Names(
        domain,
        keys.inbox_tag(inbox),
        keys.address(inbox),
        keys.meta(inbox),
        keys.index(inbox),
        keys.letter(inbox, ""),
        (keys.letterbox(inbox), keys.letter_ids(inbox)),
        (keys.REDIS_LINEAGE, keys.domain_inboxes(domain), keys.DUE, keys.OLD_FORM),
        (keys.inbox_channel(inbox), keys.domain_channel(domain)),
    )


class Bus:
    """Publishing, and what a node needs to follow. Every method raises Unavailable when Redis is away."""

    def __init__(
        self,
        store: Store,
        retention: Retention,
        *,
        restore: Callable[[], Awaitable[bool]],
        note_due: Callable[[str], None] | None = None,
        kept: Callable[[str, int], Awaitable[None]] | None = None,
    ) -> None:
        """``restore`` puts back what a Redis that lost everything must hold; whether to ask it again.

        ``note_due`` is told on a cluster of each inbox that has got a letter, see letters/sweeper.py; None = nobody
        sweeps in this process. ``kept`` is told with each letter what its account keeps now, in bytes, and is waited
        for; None = nobody makes room in this process.
        """
        self._store = store
        self._alone = store.with_own_queue()
        self._restore = restore
        self._note_due, self._kept = note_due, kept
        self._retention = retention
        self._epochs = secrets.randbits(24)
        self._tokens = secrets.token_hex(8)
        self._number = 0
        self.brought = Brought()
        self._keeps_old_form = False  # as far as the last publish saw
        self.doubted = asyncio.Event()  # a publish has failed: is the link to the same Redis alive?

    async def publish(self, inbox: str, mail: Kept, event: IdempotencyKey | None = None) -> Published | Unwanted:
        """Keeps and announces one mail (:func:`relay.message.for_inbox`) for one canonical address.

        Once for each ``event`` and inbox; without one, each call is a message of its own. After it returns Published
        the message survives this process. After Unavailable it may have been stored.
        """
        try:
            outcome = await self._try_publish(inbox, mail, event, domain_owner="")
            if outcome == _NOT_RESERVED:
                outcome = await self._publish_unreserved(inbox, mail, event)
        except Unavailable:
            self.doubted.set()
            raise
        return outcome

    async def _publish_unreserved(
        self, inbox: str, mail: Kept, event: IdempotencyKey | None
    ) -> Published | Unwanted:
        """For the owner of the domain, if there is one; but first see whether Redis has forgotten everybody."""
        if await self._restore():
            outcome = await self._try_publish(inbox, mail, event, domain_owner="")
            if outcome != _NOT_RESERVED:
                return outcome
        [owner] = await self._store.ask(("HGET", keys.domain(domain_of(inbox)), "owner"))
        if not owner:
            return _NOT_RESERVED
        return await self._try_publish(inbox, mail, event, domain_owner=owner.decode())

    async def _try_publish(
        self, inbox: str, mail: Kept, event: IdempotencyKey | None, *, domain_owner: str
    ) -> Published | Unwanted:
        if self._store.clustered:
            await self._index(inbox)
        for _ in range(_TRIES):
            outcome, text, owner, *heard_by = await self._run(inbox, mail, event, domain_owner)
            if outcome == _UNWANTED:
                return Unwanted(text.decode(), owner.decode())
            if outcome in (_STORED, _REPEATED):
                if self._kept and len(heard_by) > 2:
                    await self._kept(owner.decode(), heard_by[2])
                return self._published(outcome, text, owner, heard_by)
            if outcome == _OLD_LETTERS:
                await adopt(self._store, inbox, keep_seconds=self._retention.seconds)
                self._keeps_old_form = True
            elif outcome == _OLD_FORM:
                self._keeps_old_form = True
        raise Unavailable("Redis gave up what it had just been brought; try again")

    def _published(self, outcome: int, text: bytes, owner: bytes, heard_by: list[int]) -> Published:
        # The nodes of a cluster pass a message on, and count none but their own listeners.
        heard = None if self._store.clustered or not heard_by else heard_by[0] > 0
        if heard_by:
            self._keeps_old_form = heard_by[1] > 0
        return Published(text.decode(), outcome == _REPEATED, owner.decode(), heard)

    async def _run(self, inbox: str, mail: Kept, event: IdempotencyKey | None, domain_owner: str) -> list[Any]:
        """The reply of publish.lua."""
        of = _names(inbox)
        seen = keys.seen(inbox, event.name) if event else of.address
        inline = len(mail.letter) <= _INLINE_BYTES
        beside = of.address if inline else self._bring(inbox, mail.letter)
        old_form = await self._for_version_0_2(mail) if self._keeps_old_form else b""
        elsewhere = () if self._store.clustered else of.keys_elsewhere
        names = (of.address, of.meta, of.rows, seen, of.letters, beside, *of.old_letters, *elsewhere)
        arguments = (
            *(inbox, domain_owner, of.tag, self._fresh_epoch()),
            *(self._retention.messages, self._retention.size_bytes, *of.channels),
            *(event.retry_seconds if event else 0, "" if self._store.clustered else keys.ACCOUNT_KEPT),
            *(len(mail.row) + len(mail.letter), self._retention.seconds, mail.row, old_form),
            mail.letter if inline else b"",
        )
        if inline:
            reply: list[Any] = await self._store.run(_PUBLISH, keys=names, args=arguments, durable=True)
            return reply
        store = self._alone if len(mail.letter) > _ALONE_BYTES else self._store
        brought = ("PSETEX", beside, _BESIDE_MS, mail.letter)
        _, reply = await store.ask(brought, _PUBLISH.call(names, arguments), durable=True)
        return reply

    async def _for_version_0_2(self, mail: Kept) -> bytes:
        """The message JSON without ``_id``."""
        sealed = Sealed.parse(mail.letter)
        if sealed.size_bytes <= _ALONE_BYTES:
            return sealed.without_id()
        return await asyncio.to_thread(sealed.without_id)

    def _bring(self, inbox: str, letter: bytes) -> str:
        """The key under which it is brought."""
        self._number += 1
        token = f"{self._tokens}-{self._number}"
        self.brought.put(token, letter)
        return keys.incoming(inbox, token)

    async def _index(self, inbox: str) -> None:
        """On a cluster the index of a domain is elsewhere: written before, so that it never lacks an inbox."""
        now_ms, keep_seconds = clock.now_ms(), self._retention.seconds
        index = keys.domain_inboxes(domain_of(inbox))
        await self._store.ask(
            ("ZADD", index, now_ms, inbox),
            ("ZREMRANGEBYSCORE", index, "-inf", now_ms - keep_seconds * 1000),
            ("EXPIRE", index, keep_seconds),
        )
        if self._note_due:
            self._note_due(inbox)

    def _fresh_epoch(self) -> str:
        """Six hex digits that no earlier epoch of the inbox had, but for one chance in 16 million."""
        self._epochs += 1
        return f"{self._epochs & 0xFFFFFF:06x}"

    async def look_around(self) -> None:
        """Sees whether Redis takes writes, and whether processes of version 0.2 are there (letters/version_0_2.py)."""
        await self._store.try_write()
        if not self._store.refuses_writes:
            await look_around(self._store)

    async def ring(self, channel: str, payload: bytes) -> None:
        """Sends a probe over the way that doorbells take; who follows the channel receives its Echo."""
        await self.announce(channel, payload)

    async def announce(self, channel: str, payload: bytes) -> int | None:
        """Publishes; the answer is how many links will receive it, None on a cluster, where no node knows that."""
        [receivers] = await self._store.ask(("PUBLISH", channel, payload))
        return None if self._store.clustered else int(receivers)

    async def link(self) -> Link:
        """A new, not yet connected, link to the doorbells."""
        await self._store.forget_idle_connections()
        await look_around(self._store)
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

    async def receive(self) -> LinkEvent | None:
        """Waits for the next event; None for one that needs no action. Raises Unavailable when the link broke."""
        try:
            kind, name, payload = await self._connection.read_response(
                timeout=math.inf, disconnect_on_error=False, push_request=True
            )
        except (RedisError, OSError) as exc:
            raise Unavailable(f"the pub/sub link to Redis broke ({type(exc).__name__})") from exc
        if kind == b"message":
            return doorbells.parse(name, payload)
        return Confirmed(name.decode()) if kind == b"subscribe" else None

    async def close(self) -> None:
        """Ends the connection. Never raises."""
        await self._connection.disconnect(nowait=True)
