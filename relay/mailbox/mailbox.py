"""The inboxes of all accounts, each open to its owner alone."""

from __future__ import annotations

from typing import Any

from relay import keys
from relay.address import domain_of
from relay.errors import Unauthorized, Unavailable
from relay.mailbox.kept import Kept, missing, parse_id
from relay.message_id import MessageId
from relay.store import Command, Store


class Mailbox:
    """Addresses given to it are canonical. Every method raises Unavailable, and Unauthorized: not the account's."""

    def __init__(self, store: Store) -> None:
        """``store`` has a queue of its own: who reads a lot holds up nobody who publishes."""
        self._store = store

    async def check(self, account_id: str, email: str) -> None:
        """Returns when the address is the account's: reserved by it, or free and in a domain of its own."""
        _check_mine(account_id, email, *await self._ask(*_owners(email)))

    async def letter(self, account_id: str, email: str, message_id: str) -> Kept:
        """One message, whole. Raises BadRequest: a malformed id; NotFound."""
        message = parse_id(message_id)
        *owners, rows, copy = await self._ask(
            *_owners(email),
            ("XRANGE", keys.letterbox(email), message.entry, message.entry),
            ("HGET", keys.starred(email), starred_field(message, account_id)),
        )
        _check_mine(account_id, email, *owners)
        for _, (_, owner, _, frame) in rows:
            if owner.decode() == account_id and frame.startswith(b'{"_id":"%b"' % str(message).encode()):
                return Kept(message, email, account_id, frame)
        if copy is None:
            raise missing(email)
        return Kept(message, email, account_id, copy)

    async def _ask(self, *commands: Command) -> list[Any]:
        replies = await self._store.ask(*commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise Unavailable("Redis refused to read the inbox; try again") from reply
        return replies


def starred_field(message: MessageId, account_id: str) -> str:
    """Under which the copy of a starred message is kept."""
    return f"{message} {account_id}"


def _owners(email: str) -> tuple[Command, Command]:
    return ("HGET", keys.address(email), "owner"), ("HGET", keys.domain(domain_of(email)), "owner")


def _check_mine(account_id: str, email: str, owner: bytes | None, domain_owner: bytes | None) -> None:
    """A reservation decides alone. The text is one for all: nobody learns what is there."""
    if (owner or domain_owner or b"").decode() != account_id:
        raise Unauthorized(f"{email} is not an address of this account")
