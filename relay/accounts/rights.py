"""What an API key may do: all that its account may, or less, or nothing any more.

A key that may less, or whose account is disabled, has no member ``account`` in its hash but ``owner``: versions up to
0.2, which know nothing of scopes, find no account there and refuse it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from relay.errors import BadRequest, Forbidden, Unauthorized

# What rights_of reads of a key's hash, in this order.
FIELDS = ("hash", "account", "owner", "suspended", "read_only", "address", "expires")

_UNKNOWN = "this API key is unknown or revoked"
_EXPIRED = "this API key has expired; make another"
_DISABLED = "the account of this API key is disabled; ask the operator"

_AGE = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS = 3650 * _UNIT_MS["d"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a key is made for. The default is all that its account may."""

    read_only: bool = False
    address: str = ""  # canonical, the only one whose mail it reaches; "" = all of the account
    expires_ms: int = 0  # Unix time in milliseconds; 0 = never

    @property
    def whole(self) -> bool:
        """Whether the key may all that its account may, for ever."""
        return self == WHOLE

    def members(self) -> dict[str, str]:
        """Of a key's hash."""
        given = {"read_only": self.read_only, "address": self.address, "expires": self.expires_ms}
        return {
            name: str(int(value) if isinstance(value, bool) else value) for name, value in given.items() if value
        }


WHOLE = Scope()


@dataclass(frozen=True, slots=True)
class Rights:
    """Those of a key that is valid now."""

    account_id: str
    scope: Scope = WHOLE

    def check_rest(self, method: str, email: str | None, *, own: bool, account_wide: bool) -> None:
        """Returns when the key may call a path of REST with this method. Raises Forbidden.

        ``email``: canonical, of the path; None: it has none. ``own``: it changes the address itself, not its mail.
        ``account_wide``: it is about the account, and tells nothing of its mail.
        """
        if self.scope.read_only and method not in ("GET", "HEAD"):
            raise Forbidden("this API key is read-only; use another for what changes anything")
        reads = method in ("GET", "HEAD")
        bound = self.scope.address
        if bound and not (email == bound and (reads or not own)) and not (account_wide and reads):
            raise Forbidden(f"this API key is for the mail of {bound} only; use another for all else")

    def check_new_key(self) -> None:
        """Returns when the key may make others. Raises Forbidden."""
        if not self.scope.whole:
            raise Forbidden("an API key that may less, or that expires, makes no others; use another")

    def problem(self, name: str) -> str:
        """What stands between the key and the mail of an address or domain of its account; "" when nothing does."""
        bound = self.scope.address
        return f"{name}: this API key is for the mail of {bound} only" if bound and name != bound else ""


def rights_of(key_hash: str, row: Sequence[bytes | None], *, now_ms: int) -> Rights:
    """What the key with this hash may do; ``row``: its FIELDS. Raises Unauthorized.

    Finding the row by a hash already hides how near a wrong key came; comparing in constant time keeps it so
    whatever the store does to look a row up.
    """
    stored, account, owner, suspended, read_only, address, expires = row
    account_id = account or owner
    if stored is None or account_id is None or not hmac.compare_digest(stored, key_hash.encode()):
        raise Unauthorized(_UNKNOWN)
    scope = Scope(read_only == b"1", (address or b"").decode(), int(expires or 0))
    if account is None and suspended:
        raise Unauthorized(_DISABLED)
    if 0 < scope.expires_ms <= now_ms:
        raise Unauthorized(_EXPIRED)
    return Rights(account_id.decode(), scope)


def expiry(text: str, *, now_ms: int) -> int:
    """When a key ends that is to live so long, in Unix ms; "" = never, 0. ``text``: a number with s, m, h or d.

    Raises BadRequest.
    """
    if not text:
        return 0
    given = _AGE.fullmatch(text)
    lives_ms = int(given[1]) * _UNIT_MS[given[2]] if given else 0
    if not 0 < lives_ms <= _LONGEST_MS:
        raise BadRequest(
            "expires is a number with s, m, h or d, such as 30d, of at most 10 years", member="expires"
        )
    return now_ms + lives_ms
