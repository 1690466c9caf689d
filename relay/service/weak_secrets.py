"""Secrets that are none: short ones, those of our own documents, a file of keys that everybody may read."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog

from relay.settings import PREFIX, Settings

log = structlog.get_logger()

_LEAST_CHARACTERS = 16
_EXAMPLES = frozenset({"a-long-random-key", "change-me"})  # of README.md and `relay serve --help`
# What is public, or another's name for something, and no shared secret: topics of SNS, public keys.
_NOT_SECRET = ("arn:", "whpk_", "MFkw", "MII", "-----BEGIN")
_READ_BYTES = 128 * 1024  # of a longer accounts file the keys are not looked at: to parse it takes too long
_HINT = "make another: openssl rand -hex 32"


def tell(settings: Settings) -> None:
    """Logs a warning for each; never the secret itself."""
    for name, secrets in settings.provider_secrets().items():
        for secret in secrets:
            if reason := _weakness(secret):
                log.warning("secret.weak", where=f"{PREFIX}{name.upper()}_SECRET", reason=reason, hint=_HINT)
    if settings.accounts_file:
        with suppress(OSError):  # whoever loads it says so
            _tell_of_file(settings.accounts_file)


def _tell_of_file(path: Path) -> None:
    if path.stat().st_mode & stat.S_IROTH:
        hint = f"chmod o-r {path}, or defaultMode 0440 of a mounted Secret"
        log.warning(
            "secret.readable", where=f"{PREFIX}ACCOUNTS_FILE", reason="everybody here may read it", hint=hint
        )
    if path.stat().st_size <= _READ_BYTES:
        for where, reason in _weak_keys(path.read_bytes()):
            log.warning("secret.weak", where=where, reason=reason, hint=_HINT)


def _weak_keys(content: bytes) -> Iterator[tuple[str, str]]:
    """Where each stands, and why it is weak. A file that is no TOML has none: that is said elsewhere."""
    try:
        accounts = tomllib.loads(content.decode()).get("accounts", [])
    except ValueError:
        return
    for index, account in enumerate(accounts if isinstance(accounts, list) else []):
        for number, key in enumerate(_list(account)):
            if isinstance(key, str) and (reason := _weakness(key)):
                yield f"accounts[{index}].keys[{number}]", reason


def _list(account: object) -> list[object]:
    keys = account.get("keys") if isinstance(account, dict) else None
    return keys if isinstance(keys, list) else []


def _weakness(secret: str) -> str:
    """Why it can be guessed; "" when nothing is known of that."""
    if secret in _EXAMPLES:
        return "it stands in the documents of relay"
    if len(secret) < _LEAST_CHARACTERS and not secret.startswith(_NOT_SECRET):
        return f"it has fewer than {_LEAST_CHARACTERS} characters"
    return ""
