"""The accounts file, applied to Redis: at the start, and to a Redis that was away and may have forgotten everybody.

Nobody waits for it who does not need it: mail and sockets of what is there already go on. Who finds nobody, or calls by
REST, which would show half a file, waits until it is applied, for as long as a question to Redis may last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from relay.accounts import Accounts
from relay.accounts import file as accounts_file
from relay.accounts.applied import AppliedFile
from relay.accounts.file import AccountsFile
from relay.delivery.letterbox import Letterbox
from relay.errors import ConfigError, RelayError, Starting
from relay.settings import Settings
from relay.store import Store

log = structlog.get_logger()

_LATELY_MS = 60_000  # longer than any question to Redis, and its answer, may take
_PAUSE_SECONDS = 1.0  # after Redis was away in the middle
_FIRST_SECONDS = 0.5  # a file that is applied so soon is applied before this process is ready
# Read at once, so that what is wrong in it is said before anything is served: some 3,000 addresses, or 0.1 s.
_READ_AT_ONCE_BYTES = 128 * 1024


class AccountsRecovery:
    """What :class:`relay.delivery.node.Recovery` asks for. One for a process; :meth:`run` has an owner."""

    def __init__(self, store: Store, letterbox: Letterbox, settings: Settings) -> None:
        """Connects nothing yet. Raises ConfigError: the accounts file cannot be read."""
        self._file = AccountsFile.open(settings.accounts_file) if settings.accounts_file else None
        if self._file and len(self._file.content) <= _READ_AT_ONCE_BYTES:
            self._file.accounts()
        self._shared_domains = settings.domains
        self._digest = self._file.digest(settings.domains) if self._file else ""
        beside = store.with_own_queue()  # pipelines of hundreds: mail does not wait behind them
        self._note = AppliedFile(beside)
        self._accounts = Accounts.build(beside, settings)
        self._letterbox = letterbox
        self._wait_seconds = settings.redis_timeout_seconds
        self._wanted = asyncio.Event()  # the file is to be applied
        self.applied = asyncio.Event()  # set while the accounts file is in Redis, or there is none
        if self._file is None:
            self.applied.set()

    async def prepare(self) -> None:
        """Sees that the accounts file is applied, and waits for a small one. Raises Unavailable."""
        if self._file is None:
            return
        if await self._note.is_whole(self._digest):
            self.applied.set()
            return
        if await self._note.when_ms() is None:
            self.applied.clear()
        self._wanted.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_SECONDS):
                await self.applied.wait()

    async def reload(self) -> None:
        """Reads the file again, and has it applied. Raises ConfigError: it is wrong, and nothing changes."""
        if self._file is None:
            return
        file = await asyncio.to_thread(AccountsFile.open, self._file.path)
        await asyncio.to_thread(file.accounts)
        self._file, self._digest = file, file.digest(self._shared_domains)
        self.applied.clear()  # who has a key that only the new one names waits for it
        self._wanted.set()

    async def restore(self) -> bool:
        """Sees that the file is applied to a Redis that has forgotten every account (FLUSHALL). Waits for nothing.

        Whether to ask again who found somebody missing: also when the file was applied lately, by this process or
        another, for who found somebody missing may have asked before. Raises Unavailable.
        """
        if self._file is None:
            return False
        if not self.applied.is_set():
            return True
        applied_ms = await self._note.when_ms()
        if applied_ms is not None:
            return await self._letterbox.now_ms() - applied_ms < _LATELY_MS
        if self.applied.is_set():  # nobody else has asked meanwhile
            log.warning("accounts.forgotten", hint="Redis lost all accounts; the accounts file is applied again")
            self.applied.clear()
            self._wanted.set()
        return True

    async def restored(self) -> bool:
        """As :meth:`restore`, for who found somebody missing: waits until it can be asked again."""
        again = await self.restore()
        if again:
            await self.settled()
        return again

    async def settled(self) -> None:
        """Returns when the file is applied. Raises Unavailable: it takes too long."""
        if self.applied.is_set():
            return
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self.applied.wait()
        except TimeoutError:
            raise Starting("the accounts file is being applied; try again") from None

    async def run(self) -> None:
        """Applies the file whenever that is wanted; never returns. Raises ConfigError: what it says is wrong."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if self._file:
                await self._apply(self._file)

    async def _apply(self, file: AccountsFile) -> None:
        declared = await asyncio.to_thread(file.accounts)
        while True:
            try:
                if await self._apply_once(declared):
                    break
            except RelayError as error:
                log.warning("accounts.interrupted", error=str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
        self.applied.set()

    async def _apply_once(self, declared: Sequence[accounts_file.DeclaredAccount]) -> bool:
        """False: Redis has lost its data meanwhile.

        What contradicts the store is logged and left out: a user who reserved what the file names for another must
        not be able to keep the service from starting. The next start says so again.
        """
        token, digest = await self._note.begin(), self._digest
        try:
            await accounts_file.apply(declared, self._accounts, token=token)
        except ConfigError as error:
            log.error("accounts.conflict", problems=error.problems)  # noqa: TRY400  # the problems say all
            digest = ""
        return await self._note.end(token, digest)
