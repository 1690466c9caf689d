"""Starred messages: copies beside the letterbox, which stay when the letters have to go."""

from __future__ import annotations

from relay.errors import BadRequest
from relay.mailbox import scripts
from relay.mailbox.inboxes import Inbox, Inboxes
from relay.mailbox.kept import missing, parse_id
from relay.store import keys

_INBOXES = 1000  # of one account
_AT_ONCE = 100


class Stars:
    """Every method raises Unavailable. Addresses are canonical.

    The index of an account's inboxes with stars has another hash tag than the inbox. It may name one that has none (any
    more), and never lacks one that has: it is written before the star, and once more after it, and who takes an inbox
    out looks again.
    """

    def __init__(self, inboxes: Inboxes, *, messages: int, size_bytes: int, keep_seconds: int) -> None:
        """``messages`` and ``size_bytes``: of one inbox."""
        self._inboxes = inboxes
        self._messages, self._size_bytes = messages, size_bytes
        self._flags_ms = 2 * keep_seconds * 1000

    async def toggle(self, account_id: str, email: str, message_id: str) -> bool:
        """Whether the message is starred now.

        Raises Unauthorized; NotFound; BadRequest: a malformed id, or the message is one too many, or too large.
        """
        message = parse_id(message_id)
        await self._inboxes.mine(account_id, email)
        await self._make_room(account_id, email)
        await self._note(account_id, email)
        args = (str(message), self._messages, self._size_bytes, self._flags_ms)
        outcome: int = await self._inboxes.run(scripts.STAR, email, account_id, *args)
        if outcome == 1:
            await self._note(account_id, email)
            return True
        await self._forget(account_id, email)
        if outcome == -1:
            raise missing(email)
        if outcome < 0:
            raise BadRequest(self._too_many(email) if outcome == -2 else self._too_large(email))
        return False

    def _too_many(self, email: str) -> str:
        return f"{self._messages} messages of {email} are starred, which is the limit; unstar or delete one first"

    def _too_large(self, email: str) -> str:
        return (
            f"the starred messages of {email} would be over {self._size_bytes} bytes; unstar or delete one first"
        )

    async def copies(self, account_id: str) -> dict[Inbox, list[bytes]]:
        """The ids of all starred messages of an account."""
        inboxes = await self._inboxes.with_stars(account_id)
        found: dict[Inbox, list[bytes]] = {}
        for at in range(0, len(inboxes), _AT_ONCE):
            some = inboxes[at : at + _AT_ONCE]
            replies = await self._inboxes.ask(*(("HKEYS", keys.starred(inbox.address)) for inbox in some))
            for inbox, fields in zip(some, replies, strict=True):
                pairs = [field.split(b" ", 1) for field in fields]
                found[inbox] = [message for message, owner in pairs if owner.decode() == account_id]
        return found

    async def _note(self, account_id: str, email: str) -> None:
        [(seconds, _)] = await self._inboxes.ask(("TIME",))
        later_ms = (int(seconds) + 1) * 1000  # than any message that can be starred now
        await self._inboxes.ask(("ZADD", keys.account_starred(account_id), later_ms, email))

    async def _make_room(self, account_id: str, email: str) -> None:
        """Raises BadRequest: the account has starred messages in too many other inboxes."""
        index = keys.account_starred(account_id)
        known, count = await self._inboxes.ask(("ZSCORE", index, email), ("ZCARD", index))
        if known is not None or count < _INBOXES:
            return
        [members] = await self._inboxes.ask(("ZRANGE", index, 0, -1))
        for member in members:
            await self._forget(account_id, member.decode())
        [count] = await self._inboxes.ask(("ZCARD", index))
        if count >= _INBOXES:
            raise BadRequest(
                f"messages of {count} inboxes are starred, which is the limit; unstar those of one first"
            )

    async def _forget(self, account_id: str, email: str) -> None:
        """Takes an inbox out of the index, if nothing in it is starred."""
        [count] = await self._inboxes.ask(("HLEN", keys.starred(email)))
        if count:
            return
        await self._inboxes.ask(("ZREM", keys.account_starred(account_id), email))
        [count] = await self._inboxes.ask(("HLEN", keys.starred(email)))
        if count:
            await self._note(account_id, email)
