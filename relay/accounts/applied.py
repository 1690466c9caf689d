"""Which accounts file is in Redis, whole: so that a start which finds nothing changed asks one question and is done.

The digest in Redis counts only while nobody has changed what the file declares. Whoever does so marks it as doubted, in
the same atomic step as the change (lua/doubt.lua); docs/decisions/0008-accounts-digest.md has the cases.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from relay.store import Script, Store, keys

_APPLIED = Script.load("accounts/lua/accounts_applied.lua")
# For what no mark can tell of: an older version beside this one, a hand inside Redis. It costs a start some seconds of
# work beside its own, once in that time.
_BELIEVED_SECONDS = 7 * 24 * 3600
_APPLICATION = "applying:"


class AppliedFile:
    """The note about the file that was applied last. Every method raises Unavailable.

    On a cluster no digest is believed: a node that fails over alone takes accounts back and leaves the digest.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def is_whole(self, digest: str) -> bool:
        """Whether the file of this digest is there, and nothing of it changed since."""
        if self._store.clustered:
            return False
        applied_ms, known = await self._store.ask(("GET", keys.ACCOUNTS_APPLIED), ("GET", keys.ACCOUNTS_DIGEST))
        # The time, too: a version that knows of no digest writes a new one when it applies its file.
        return applied_ms is not None and known == f"{digest}:{applied_ms.decode()}".encode()

    async def when_ms(self) -> int | None:
        """When a whole file was there last, by Redis' clock; None: Redis knows of none, so it is new or was emptied."""
        [applied_ms] = await self._store.ask(("GET", keys.ACCOUNTS_APPLIED))
        return None if applied_ms is None else int(applied_ms)

    async def begin(self) -> str:
        """Notes that a file is being applied; the answer is the token of this application."""
        token = _APPLICATION + secrets.token_hex(16)
        await self._store.ask(("SET", keys.ACCOUNTS_DIGEST, token))
        return token

    async def end(self, token: str, digest: str) -> bool:
        """Notes that all of the file is there; ``digest`` is "" when parts could not be applied.

        False: Redis has lost its data since :meth:`begin`, and with them some of the file.
        """
        names = [keys.ACCOUNTS_APPLIED, keys.ACCOUNTS_DIGEST]
        return bool(await self._store.run(_APPLIED, keys=names, args=[token, digest, _BELIEVED_SECONDS]))


def doubted_keys(store: Store) -> Sequence[str]:
    """What a script that may change something declared is given as its last key, see lua/doubt.lua."""
    return () if store.clustered else (keys.ACCOUNTS_DIGEST,)
