"""The accounts file, applied to Redis: at the start, and to a Redis that was away and may have forgotten everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from relay.accounts import Accounts
from relay.accounts import file as accounts_file
from relay.accounts.file import DeclaredAccount
from relay.delivery.letterbox import Letterbox
from relay.errors import ConfigError
from relay.store import Store, keys

log = structlog.get_logger()

_LATELY_MS = 60_000  # longer than any question to Redis, and its answer, may take


class AccountsRecovery:
    """What :class:`relay.delivery.node.Recovery` asks for. One for a process."""

    def __init__(self, store: Store, letterbox: Letterbox, declared: Sequence[DeclaredAccount] | None) -> None:
        """``declared``: what the accounts file says; None = there is none."""
        self._store = store
        self._letterbox = letterbox
        self._declared = declared
        self._accounts: Accounts | None = None
        self._restoring = asyncio.Lock()
        self.applied = asyncio.Event()  # set when the accounts file is in Redis, or there is none

    def apply_to(self, accounts: Accounts) -> None:
        """The accounts to which the file is applied. They ask :meth:`restore`, so they are made after this."""
        self._accounts = accounts

    async def prepare(self) -> None:
        """Applies the accounts file.

        What contradicts the store is logged and left out: a user who reserved what the file names for another must
        not be able to keep the service from starting. Raises Unavailable.
        """
        if self._declared is not None and self._accounts is not None:
            try:
                await accounts_file.apply(self._declared, self._accounts)
            except ConfigError as error:
                log.error("accounts.conflict", problems=error.problems)  # noqa: TRY400  # the problems say all
            await self._note_applied()
        self.applied.set()

    async def restore(self) -> bool:
        """Applies the accounts file to a Redis that has forgotten every account (FLUSHALL). Whether to ask again.

        That is so as well when it was applied lately, by this process or another: who found somebody missing may have
        asked before. Raises Unavailable.
        """
        if self._declared is None:
            return False
        async with self._restoring:  # whoever waits here finds the accounts there
            [applied_ms] = await self._store.ask(("GET", keys.ACCOUNTS_APPLIED))
            if applied_ms is not None:
                return await self._letterbox.now_ms() - int(applied_ms) < _LATELY_MS
            log.warning("accounts.forgotten", hint="Redis lost all accounts; the accounts file is applied again")
            await self.prepare()
        return True

    async def _note_applied(self) -> None:
        """After everything of the file: a process that finds this note finds the accounts."""
        now_ms = await self._letterbox.now_ms()
        await self._store.ask(("SET", keys.ACCOUNTS_APPLIED, now_ms))
