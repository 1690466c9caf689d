"""What goes to listeners, and what a listener is: the words of this room."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from relay.errors import Close
from relay.letters.layout import Sealed, json_bytes
from relay.message_id import MessageId

_THREAD_BYTES = 256 * 1024  # what takes a ms to inflate
_JSON = "json"  # the name among the variants


@dataclass(frozen=True, slots=True, eq=False)
class Letter:
    """One message on its way out; every listener gets the same object."""

    owner: str  # account that may read it
    inbox: str
    id: MessageId
    sealed: Sealed
    size_bytes: int  # of the message JSON
    variants: dict[str, bytes] = field(default_factory=dict)  # what the door out makes of it, once for all

    @classmethod
    def of(cls, owner: str, inbox: str, message: MessageId, sealed: Sealed) -> Letter:
        """From what was kept."""
        return cls(owner, inbox, message, sealed, json_bytes(sealed, str(message)))

    @property
    def frame(self) -> bytes:
        """The message JSON, made once. Raises BadLetter: it is damaged."""
        made = self.variants.get(_JSON)
        if made is None:
            made = self.variants[_JSON] = self.sealed.json(str(self.id))
        return made

    @property
    def held_bytes(self) -> int:
        """About what it takes while it waits in a socket: its frame, and what that is made of."""
        return self.size_bytes + len(self.sealed.stored)

    def forget_json(self) -> None:
        """Frees :attr:`frame` of a large message: a frame has been made of it, and another can be made again."""
        if self.size_bytes > _THREAD_BYTES:
            self.variants.pop(_JSON, None)

    async def prepare(self) -> None:
        """Makes :attr:`frame` of a large message, in a thread: whoever delivers it would hold up all sockets."""
        if self.size_bytes > _THREAD_BYTES:
            await asyncio.to_thread(getattr, self, "frame")


GapReason = Literal["expired", "trimmed", "epoch"]


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """Messages of an inbox that its listeners do not get, or may not get: said, never passed over.

    ``expired``: older than what is kept; ``trimmed``: more than what is kept, or replayed at once; ``epoch``: Redis has
    lost its count, so nobody knows what is missing.
    """

    inbox: str | None  # None: of an inbox that is not known any more
    after: MessageId | None  # the last message before the gap; None = whatever there was
    next: MessageId | None  # the first message after it; None = the next that comes
    reason: GapReason
    reached: MessageId | None = None  # where who was told stands, when no letter follows; None = at the beginning
    variants: dict[str, bytes] = field(default_factory=dict)  # as of a letter


@dataclass(frozen=True, slots=True)
class SocketStatus:
    """How a socket fares, for who wants to see it."""

    opened_us: int  # Unix time in microseconds; no two sockets of a process have the same
    frames: Literal["message", "envelope"]
    client: str  # its address; "" when the server does not know it
    waiting_bytes: int  # that the client has not taken yet
    delivered: int  # messages (and words of gaps) that were written to it


class DeliveryCount(NamedTuple):
    """To how many a letter was handed."""

    sockets: int
    waits: int  # requests that wait for a mail


class Listener(Protocol):
    """One socket, or a request that waits, as the hub sees it."""

    waits_for: str  # inbox that a request waits for; "" = it is a socket
    account: str
    key_hash: str
    addresses: Collection[str]
    domains: Collection[str]

    def deliver(self, letter: Letter | Gap) -> None:
        """Takes a letter, or word of a gap. Never waits and never raises; a listener that is too slow ends itself."""

    def end(self, close: Close, text: str) -> None:
        """Ends the socket with this close, told in this sentence. The first call counts."""

    def status(self) -> SocketStatus | None:
        """How it fares now; None = it is no socket, but a request that waits."""
