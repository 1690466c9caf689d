"""The accounts file (``RELAY_ACCOUNTS_FILE``): TOML in which the operator declares accounts.

Loading it is idempotent, and many processes may do so at once. What the file does not name stays as it is, but for what
came from the file and is gone from it: a key is revoked, a domain given up, an account disabled.
"""

from __future__ import annotations

import asyncio
import hashlib
import tomllib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from relay import __version__
from relay.accounts import Accounts, closing
from relay.accounts.accounts import ACCOUNT_ID, DEFAULT_CREDITS, MAX_CREDITS
from relay.accounts.api_keys import FROM_FILE, hash_of
from relay.address import canonical_address, canonical_domain
from relay.errors import BadRequest, ConfigError, NotFound, Unauthorized

_FORMAT = 1  # of what is made of a file: another number, and every file is applied again
_ADDRESSES_AT_ONCE = 1024  # between two of our own turns
_ACCOUNTS_AT_ONCE = 16  # each has a connection to Redis of its own while its keys are listed


def _address(text: str) -> str:
    try:
        return canonical_address(text)
    except BadRequest as exc:
        raise ValueError(str(exc)) from exc


def _domain(text: str) -> str:
    try:
        return canonical_domain(text)
    except BadRequest as exc:
        raise ValueError(str(exc)) from exc


def _key(text: str) -> str:
    """From here on only its hash is known; error texts of ``hash_of`` do not repeat the key."""
    try:
        return hash_of(text)
    except BadRequest as exc:
        raise ValueError(str(exc)) from exc


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class DeclaredAddress(_Model):
    """``{ address, enablews }``."""

    address: Annotated[str, AfterValidator(_address)]
    enablews: bool = False


class DeclaredAccount(_Model):
    """One ``[[accounts]]`` table. Keys stand here as SHA-256, 64 hex digits, however they were given."""

    id: str = Field(pattern=rf"^(?:{ACCOUNT_ID.pattern})\z")
    keys: list[Annotated[str, AfterValidator(_key)]] = []
    key_hashes: list[Annotated[str, Field(pattern=r"^sha256:"), AfterValidator(_key)]] = []
    address_credits: int = Field(DEFAULT_CREDITS, ge=0, le=MAX_CREDITS)  # does not limit the addresses below
    account_bytes: int = Field(0, ge=0)  # of mail that it keeps; 0 = RELAY_ACCOUNT_BYTES
    domains: list[Annotated[str, AfterValidator(_domain)]] = []
    addresses: list[DeclaredAddress] = []


@dataclass(frozen=True, slots=True)
class AccountsFile:
    """The bytes of a file. What they say is read when it is wanted: for 100,000 addresses that takes seconds."""

    path: Path
    content: bytes = field(repr=False)  # with keys

    @classmethod
    def open(cls, path: Path) -> AccountsFile:
        """Raises ConfigError: it cannot be read."""
        try:
            return cls(path, path.read_bytes())
        except OSError as exc:
            raise ConfigError([f"RELAY_ACCOUNTS_FILE: {path} cannot be read: {exc.strerror}"]) from exc

    def accounts(self) -> list[DeclaredAccount]:
        """What it says. Raises ConfigError; its lines name members, never the value of a key."""
        try:
            tables = tomllib.loads(self.content.decode())
        except UnicodeDecodeError as exc:
            raise ConfigError([f"RELAY_ACCOUNTS_FILE: {self.path} is not UTF-8"]) from exc
        except tomllib.TOMLDecodeError as exc:
            raise ConfigError([f"RELAY_ACCOUNTS_FILE: {self.path} is not TOML: {exc}"]) from exc
        return _parse(tables)

    def digest(self, shared_domains: Sequence[str]) -> str:
        """SHA-256 of all that decides what comes of it: also of the domains that nobody may own, and of the version."""
        others = "\n".join([f"{_FORMAT} {__version__}", *sorted(shared_domains), ""])
        return hashlib.sha256(others.encode() + b"\n" + self.content).hexdigest()


async def load(path: Path, accounts: Accounts) -> int:
    """Reads a file and applies it; the answer is how many accounts it names. Raises as its two steps do."""
    declared = read(path)
    await apply(declared, accounts)
    return len(declared)


def read(path: Path) -> list[DeclaredAccount]:
    """The accounts of a file. Raises ConfigError."""
    return AccountsFile.open(path).accounts()


def _parse(tables: dict[str, Any]) -> list[DeclaredAccount]:
    entries = tables.pop("accounts", [])
    problems = [f"{name}: is not known here; the file has [[accounts]] tables only" for name in tables]
    if not isinstance(entries, list):
        raise ConfigError([*problems, "accounts: write [[accounts]], with double brackets"])
    parsed: list[tuple[str, DeclaredAccount]] = []
    for index, entry in enumerate(entries):
        where = f"accounts[{index}]"
        try:
            parsed.append((where, DeclaredAccount.model_validate(entry)))
        except ValidationError as exc:
            problems += _wrong(where, exc)
    problems += _twice(parsed)
    if problems:
        raise ConfigError(problems)
    return [account for _, account in parsed]


def _wrong(where: str, exc: ValidationError) -> Iterator[str]:
    for error in exc.errors(include_url=False, include_input=False, include_context=False):
        member = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
        text = "is not known here" if error["type"] == "extra_forbidden" else error["msg"]
        yield f"{where}{member}: {text.removeprefix('Value error, ')}"


def _twice(parsed: Sequence[tuple[str, DeclaredAccount]]) -> Iterator[str]:
    seen: dict[tuple[str, str], str] = {}
    for where, account in parsed:
        for kind, value, member in _unique(account):
            first = seen.setdefault((kind, value), f"{where}.{member}")
            if first != f"{where}.{member}":
                shown = f"the same {kind}" if kind == "key" else f"{kind} {value}"
                yield f"{where}.{member}: {shown} stands at {first} already"


def _unique(account: DeclaredAccount) -> Iterator[tuple[str, str, str]]:
    """What may stand in the file once: kind, value, member."""
    yield "id", account.id, "id"
    yield from _names(account)
    for index, declared in enumerate(account.addresses):
        yield "address", declared.address, f"addresses[{index}].address"


def _names(account: DeclaredAccount) -> Iterator[tuple[str, str, str]]:
    """Its keys and domains: kind, value, member."""
    for name in ("keys", "key_hashes"):
        for index, key_hash in enumerate(getattr(account, name)):
            yield "key", key_hash, f"{name}[{index}]"
    for index, domain in enumerate(account.domains):
        yield "domain", domain, f"domains[{index}]"


async def apply(declared: Sequence[DeclaredAccount], accounts: Accounts, *, token: str = "") -> None:
    """Brings the accounts to what the file says. Applying it again, or in several processes at once, is harmless.

    ``token``: of this application, see applied.py. Raises ConfigError with one line for each thing that contradicts
    what is stored; Unavailable: Redis is away, some may be done, apply it again.
    """
    entries = [(f"accounts[{index}]", account) for index, account in enumerate(declared)]
    await closing.follow_file(accounts, {account.id for account in declared})
    # Keys of all accounts first: who has one is let in. Domains come before addresses: an address on an own domain
    # keeps the mail that the domain caught for it.
    refused = await _each(entries, lambda where, account: _apply_names(where, account, accounts, token))
    # One after the other, and once more: a key may have moved here from another account, which has given it up by now.
    again = [
        await _apply_names(*entry, accounts, token) for entry, lines in zip(entries, refused, strict=True) if lines
    ]
    rest = await _each(entries, lambda where, account: _apply_addresses(where, account, accounts, token))
    if problems := [line for lines in (*again, *rest) for line in lines]:
        raise ConfigError(problems)


async def _each(
    entries: Sequence[tuple[str, DeclaredAccount]],
    apply_one: Callable[[str, DeclaredAccount], Awaitable[list[str]]],
) -> list[list[str]]:
    """What could not be done, for each account. Some are under way at once: their questions to Redis share a way."""
    problems: list[list[str]] = []
    for start in range(0, len(entries), _ACCOUNTS_AT_ONCE):
        problems += await asyncio.gather(
            *(apply_one(*entry) for entry in entries[start : start + _ACCOUNTS_AT_ONCE])
        )
    return problems


async def _apply_names(where: str, account: DeclaredAccount, accounts: Accounts, token: str) -> list[str]:
    """The account with its keys and domains; the answer is what could not be done."""
    await accounts.accounts.put(account.id, address_credits=account.address_credits, token=token)
    await accounts.accounts.limit(account.id, account_bytes=account.account_bytes)
    problems: list[str] = []
    for kind, value, member in _names(account):
        try:
            if kind == "domain":
                await accounts.domains.declare(account.id, value)
            else:
                await accounts.keys.add(account.id, f"sha256:{value}", source=FROM_FILE)
        except (BadRequest, Unauthorized) as exc:
            problems.append(f"{where}.{member}: {exc}")
    await _revoke_gone(account, accounts, token)
    await accounts.domains.give_up_undeclared(account.id, account.domains)
    return problems


async def _apply_addresses(where: str, account: DeclaredAccount, accounts: Accounts, token: str) -> list[str]:
    problems: list[str] = []
    for start in range(0, len(account.addresses), _ADDRESSES_AT_ONCE):
        some = account.addresses[start : start + _ADDRESSES_AT_ONCE]
        enablews = {declared.address: declared.enablews for declared in some}
        others = await accounts.addresses.declare_all(account.id, enablews, token=token)
        numbers = {declared.address: number for number, declared in enumerate(some, start)} if others else {}
        problems += [
            f"{where}.addresses[{numbers[address]}].address: {address} belongs to another account"
            for address in others
        ]
    return problems


async def _revoke_gone(account: DeclaredAccount, accounts: Accounts, token: str) -> None:
    declared = {*account.keys, *account.key_hashes}
    for row in await accounts.keys.list(account.id):
        if row.source == FROM_FILE and row.hash not in declared:
            with suppress(NotFound):  # another process that loads the same file was faster
                await accounts.keys.revoke(account.id, row.hash, token=token)
