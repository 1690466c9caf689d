"""Redis as the way between processes: publish, follow, probe.

Each inbox has a letterbox (a Redis stream that holds its messages, letterbox.py) and a doorbell (a pub/sub channel);
its whole domain has a second doorbell. publish.lua writes the one and rings the others in one atomic step. This is
the only file that knows pub/sub; accounts/ only adds notices to its own transactions.
"""

from __future__ import annotations

import asyncio
import math
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from redis.exceptions import RedisError

from relay import clock
from relay.address import domain_of
from relay.errors import Unavailable
from relay.message_id import BadMessageId, MessageId
from relay.store import Script, Store, keys
from relay.store.notices import Notice

_PUBLISH = Script.load("delivery/lua/publish.lua")
# Redis cuts off every subscriber for whom 32 MB of pub/sub output wait (client-output-buffer-limit), so a
# doorbell stays small: each node reads a larger message from the letterbox.
_INLINE_BYTES = 64 * 1024
_NUMBER = re.compile(r"[0-9]{1,18}")


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
_UNWANTED, _STORED, _REPEATED = range(3)  # outcomes of publish.lua


@dataclass(frozen=True, slots=True)
class Confirmed:
    """From now on every publish to ``channel`` is seen by this link."""

    channel: str


@dataclass(frozen=True, slots=True)
class Doorbell:
    """A message reached ``inbox``, which is ``owner``'s. ``frame`` is its JSON; None = read the letterbox."""

    owner: str
    inbox: str
    id: MessageId
    frame: bytes | None


@dataclass(frozen=True, slots=True)
class Echo:
    """Of :meth:`Bus.ring`: all that was published before it has been received."""

    probe: bytes


@dataclass(frozen=True, slots=True)
class SurveyRequest:
    """A process wants to see the sockets of an account, see survey.py."""

    asker: str  # its name
    number: int  # of its question
    account: str

    def encode(self) -> bytes:
        """The payload for the channel ``keys.SURVEY``."""
        return f"{self.asker}\n{self.number}\n{self.account}".encode()

    @classmethod
    def decode(cls, payload: bytes) -> SurveyRequest | None:
        """None when it is none of ours (a newer version's, say)."""
        asker, _, rest = payload.decode("utf-8", "replace").partition("\n")
        number, _, account = rest.partition("\n")
        return cls(asker, int(number), account) if _NUMBER.fullmatch(number) else None


@dataclass(frozen=True, slots=True)
class SurveyReply:
    """What a process answers to our question."""

    number: int
    answer: bytes

    def encode(self) -> bytes:
        """The payload for the asker's channel."""
        return b"%d\n%b" % (self.number, self.answer)

    @classmethod
    def decode(cls, payload: bytes) -> SurveyReply | None:
        """As of a question."""
        number, _, answer = payload.partition(b"\n")
        return cls(int(number), answer) if _NUMBER.fullmatch(number.decode("ascii", "replace")) else None


LinkEvent = Confirmed | Doorbell | Echo | Notice | SurveyRequest | SurveyReply


class _Names(NamedTuple):
    """What publish.lua needs by name for an inbox."""

    domain: str
    tag: str
    keys: tuple[str, str, str, str]  # of the inbox's slot
    keys_elsewhere: tuple[str, str]
    channels: tuple[str, str]


@lru_cache(maxsize=8192)  # two MiB; the same inboxes get mail again and again
def _names(inbox: str) -> _Names:
    domain = domain_of(inbox)
    return _Names(
        domain,
        keys.inbox_tag(inbox),
        (keys.address(inbox), keys.meta(inbox), keys.letterbox(inbox), keys.letter_ids(inbox)),
        (keys.REDIS_LINEAGE, keys.domain_inboxes(domain)),
        (keys.inbox_channel(inbox), keys.domain_channel(domain)),
    )


class Bus:
    """Publishing, and what a node needs to follow. Every method raises Unavailable when Redis is away."""

    def __init__(
        self, store: Store, *, restore: Callable[[], Awaitable[bool]], keep_messages: int, keep_seconds: int
    ) -> None:
        """``restore`` puts back what a Redis that lost everything must hold; whether to ask it again."""
        self._store = store
        self._restore = restore
        self._keep = (keep_messages, keep_seconds)
        self._epochs = secrets.randbits(24)
        self.doubted = asyncio.Event()  # a publish has failed: is the link to the same Redis alive?

    async def publish(
        self, inbox: str, message: bytes, event: IdempotencyKey | None = None
    ) -> Published | Unwanted:
        """Stores and announces one message (:func:`relay.message.address`) for one canonical address.

        Once for each ``event`` and inbox; without one, each call is a message of its own. After it returns Published
        the message survives this process. After Unavailable it may have been stored.
        """
        try:
            outcome = await self._try_publish(inbox, message, event, domain_owner="")
            if outcome == _NOT_RESERVED:
                outcome = await self._publish_unreserved(inbox, message, event)
        except Unavailable:
            self.doubted.set()
            raise
        return outcome

    async def _publish_unreserved(
        self, inbox: str, message: bytes, event: IdempotencyKey | None
    ) -> Published | Unwanted:
        """For the owner of the domain, if there is one; but first see whether Redis has forgotten everybody."""
        if await self._restore():
            outcome = await self._try_publish(inbox, message, event, domain_owner="")
            if outcome != _NOT_RESERVED:
                return outcome
        [owner] = await self._store.ask(("HGET", keys.domain(domain_of(inbox)), "owner"))
        if not owner:
            return _NOT_RESERVED
        return await self._try_publish(inbox, message, event, domain_owner=owner.decode())

    async def _try_publish(
        self, inbox: str, message: bytes, event: IdempotencyKey | None, *, domain_owner: str
    ) -> Published | Unwanted:
        of = _names(inbox)
        names = [*of.keys, keys.seen(inbox, event.name) if event else of.keys[0]]
        if self._store.clustered:
            await self._index(of.domain, inbox)
        else:
            names += of.keys_elsewhere
        arguments = (
            *(inbox, domain_owner, of.tag, self._fresh_epoch(), *self._keep, _INLINE_BYTES),
            *(*of.channels, event.retry_seconds if event else 0, message),
        )
        outcome, text, owner, *listening = await self._store.run(
            _PUBLISH, keys=names, args=arguments, durable=True
        )
        if outcome == _UNWANTED:
            return Unwanted(text.decode(), owner.decode())
        # The nodes of a cluster pass a message on, and count none but their own listeners.
        heard = None if self._store.clustered or not listening else listening[0] > 0
        return Published(text.decode(), outcome == _REPEATED, owner.decode(), heard)

    async def _index(self, domain: str, inbox: str) -> None:
        """On a cluster the index of a domain is elsewhere: written before, so that it never lacks an inbox."""
        now_ms, (_, keep_seconds) = clock.now_ms(), self._keep
        index = keys.domain_inboxes(domain)
        await self._store.ask(
            ("ZADD", index, now_ms, inbox),
            ("ZREMRANGEBYSCORE", index, "-inf", now_ms - keep_seconds * 1000),
            ("EXPIRE", index, keep_seconds),
        )

    def _fresh_epoch(self) -> str:
        """Six hex digits that no earlier epoch of the inbox had, but for one chance in 16 million."""
        self._epochs += 1
        return f"{self._epochs & 0xFFFFFF:06x}"

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
            return _event(name, payload)
        return Confirmed(name.decode()) if kind == b"subscribe" else None

    async def close(self) -> None:
        """Ends the connection. Never raises."""
        await self._connection.disconnect(nowait=True)


def _event(channel: bytes, payload: bytes) -> LinkEvent | None:
    if channel == _CONTROL:
        return Notice.decode(payload)
    if channel.startswith(_PROBE):
        return Echo(payload)
    if channel.startswith(_SURVEY):
        return SurveyRequest.decode(payload) if channel == _SURVEY else SurveyReply.decode(payload)
    return _doorbell(payload)


def _doorbell(payload: bytes) -> Doorbell | None:
    parts = payload.split(b"\n", 3)
    if len(parts) != 4:
        return None  # not ours
    owner, inbox, message_id, frame = parts
    try:
        return Doorbell(owner.decode(), inbox.decode(), MessageId.parse(message_id.decode()), frame or None)
    except (BadMessageId, UnicodeDecodeError):
        return None


_CONTROL = keys.CONTROL.encode()
_PROBE = keys.probe("").encode()
_SURVEY = keys.SURVEY.encode()
