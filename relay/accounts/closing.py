"""The end of an account, for a time or for good: its keys, and with them sockets and sessions; its addresses, mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.accounts.accounts import BY_FILE, BY_OPERATOR

if TYPE_CHECKING:
    from relay.accounts import Accounts


async def disable(accounts: Accounts, account_id: str, *, by: str = BY_OPERATOR) -> None:
    """No key of the account works any more, and its sockets are closed. Its addresses, and their mail, stay.

    Raises NotFound.
    """
    await accounts.accounts.note_disabled(account_id, by)
    await accounts.keys.suspend(account_id, on=True)


async def enable(accounts: Accounts, account_id: str) -> None:
    """All keys of the account work again. Raises NotFound."""
    await accounts.accounts.note_disabled(account_id, "")
    await accounts.keys.suspend(account_id, on=False)


async def remove(accounts: Accounts, account_id: str) -> None:
    """The account with all that it has: keys, addresses with their mail, domains. Raises NotFound.

    It may be cut off anywhere: until the end the account is there, disabled, and can be removed again.
    """
    await disable(accounts, account_id)
    for key in await accounts.keys.list(account_id):
        await accounts.keys.revoke(account_id, key.hash)
    for reservation in await accounts.addresses.list(account_id):
        await accounts.addresses.release(account_id, reservation.address)
    for domain in await accounts.domains.list(account_id):
        await accounts.domains.remove(account_id, domain.name)
    await accounts.accounts.forget(account_id)


async def follow_file(accounts: Accounts, named: set[str]) -> None:
    """Disables the accounts that the accounts file named before and does no more; enables those that are back."""
    before = await accounts.accounts.declared()
    if before is None:
        before = await _with_keys_of_a_file(accounts)
    known = {account.id: account for account in await accounts.accounts.list()}
    gone = (before - named) & known.keys()
    for account_id in gone:
        if not known[account_id].disabled_by:
            await disable(accounts, account_id, by=BY_FILE)
    for account_id in named & known.keys():
        if known[account_id].disabled_by == BY_FILE:
            await enable(accounts, account_id)
    await accounts.accounts.note_declared(named, before - named)


async def _with_keys_of_a_file(accounts: Accounts) -> set[str]:
    """Versions up to 0.2 noted nothing: whoever has a key that a file brought was named by one."""
    ids = [account.id for account in await accounts.accounts.list()]
    return {account_id for account_id in ids if await accounts.keys.has_from_file(account_id)}
