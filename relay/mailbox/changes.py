"""What owners change of their messages: flags, and whether they are kept at all."""

from __future__ import annotations

from relay.errors import BadRequest
from relay.mailbox import scripts
from relay.mailbox.inboxes import Inboxes
from relay.mailbox.stored_message import Flags, missing, parse_id
from relay.store import keys

LABELS = 20  # of one message
_COUNT_MS = 30 * 24 * 3600 * 1000  # for which publish.lua keeps the count of an inbox at least
_PAUSE_BYTES = 256 * 1024  # of rows: longer than a few ms nobody else waits for Redis
_INBOXES_AT_ONCE = 100


class Changes:
    """Every method raises Unavailable, and Unauthorized: not the account's. Addresses are canonical.

    What changes one message raises BadRequest too: a malformed id, and NotFound.
    """

    def __init__(self, inboxes: Inboxes, *, keep_messages: int, keep_seconds: int) -> None:
        self._inboxes = inboxes
        # A message lives at most 2 x keep_seconds, so its flags must too.
        self._flags_ms = 2 * keep_seconds * 1000
        # As long as the count of the inbox, by which who resumes finds that something is missing.
        self._tombs = keep_messages + 2, max(4 * keep_seconds * 1000, _COUNT_MS)

    async def set_read(self, account_id: str, email: str, message_id: str, *, read: bool) -> Flags:
        """The flags as they are now."""
        return await self._flag(account_id, email, message_id, "read", "01"[read])

    async def set_folder(self, account_id: str, email: str, message_id: str, folder: str) -> Flags:
        """``folder`` is a word."""
        return await self._flag(account_id, email, message_id, "folder", folder)

    async def add_label(self, account_id: str, email: str, message_id: str, label: str) -> Flags:
        """``label`` is one line. Raises BadRequest too: the message has :data:`LABELS`."""
        return await self._flag(account_id, email, message_id, "label", label)

    async def drop_label(self, account_id: str, email: str, message_id: str, label: str) -> Flags:
        """A label that the message does not have is no error."""
        return await self._flag(account_id, email, message_id, "unlabel", label)

    async def _flag(self, account_id: str, email: str, message_id: str, what: str, value: str) -> Flags:
        message = parse_id(message_id)
        await self._inboxes.mine(account_id, email)
        args = (str(message), what, value, LABELS, self._flags_ms)
        reply = await self._inboxes.run(scripts.FLAG, email, account_id, *args)
        if reply == b"gone":
            raise missing(email)
        if reply == b"full":
            raise BadRequest(f"the message has {LABELS} labels, which is the limit; take one off", member="label")
        return Flags.parse(reply)

    async def delete(self, account_id: str, email: str, message_id: str) -> None:
        """Starred or not."""
        message = parse_id(message_id)
        await self._inboxes.mine(account_id, email)
        if not await self._inboxes.run(scripts.DELETE, email, account_id, str(message), *self._tombs):
            raise missing(email)

    async def delete_all(self, account_id: str, email: str) -> None:
        """What has come to an inbox; starred messages stay."""
        await self._inboxes.mine(account_id, email)
        await self._empty(account_id, email)

    async def delete_domain(self, account_id: str, domain: str) -> None:
        """What has come to any inbox of a domain; starred messages stay."""
        await self._inboxes.check_domain(account_id, domain)
        start = 0
        # What comes meanwhile moves others back in the order: those are met twice, none is passed over.
        while some := await self._inboxes.indexed(domain, start, _INBOXES_AT_ONCE):
            for inbox in some:
                await self._empty(account_id, inbox.address)
            start += len(some)

    async def _empty(self, account_id: str, email: str) -> None:
        """Step by step up to the message that is the newest now."""
        [(ms, seq)] = await self._inboxes.ask(("HMGET", keys.meta(email), "ms", "seq"))
        at = b"-" if ms else b""
        while at:
            args = (at.decode(), f"{int(ms)}-{int(seq)}", *self._tombs, _PAUSE_BYTES)
            at = await self._inboxes.run(scripts.DELETE_ALL, email, account_id, *args)
