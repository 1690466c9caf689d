"""``relay account``: who may reserve addresses, and how many. Works on Redis, by the RELAY_* settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from relay.accounts import Accounts, closing
from relay.accounts.accounts import DEFAULT_CREDITS, Account
from relay.accounts.api_keys import NewKey
from relay.cli import table
from relay.cli.console import print_json
from relay.cli.registry import ask, iso

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="""Add, list, disable and remove accounts.

    Needs RELAY_REDIS_URL; a service on memory:// takes them from its
    accounts file (RELAY_ACCOUNTS_FILE).

    Example:
      relay account add user1""",
)

_Account = Annotated[str, typer.Argument(metavar="ID", help="Account id.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    account: Annotated[str, typer.Argument(metavar="ID", help="A new account id.")],
    *,
    credits_: Annotated[
        int, typer.Option("--credits", help="How many addresses it may reserve.")
    ] = DEFAULT_CREDITS,
    key: Annotated[bool, typer.Option("--key/--no-key", help="Make its first API key.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Add an account, and make its first API key, which is shown this once.

    Example:
      relay account add user1 --credits 10
    """
    made, new = ask(lambda accounts: _add(accounts, account, credits_, key))
    if json:
        print_json(_as_json(made) | ({"key_id": new.id, "key": new.key} if new else {}))
        return
    print(f"account {made.id} may reserve {made.address_credits} addresses")
    if new:
        print(f"its API key, shown only now: {new.key}")


@app.command("list")
def list_(*, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List all accounts.

    Example:
      relay account list --json
    """
    found = ask(lambda accounts: accounts.accounts.list())
    if json:
        print_json([_as_json(account) for account in found])
        return
    rows = [
        (account.id, str(account.address_credits), iso(account.created_ms), account.disabled_by and "disabled")
        for account in found
    ]
    table.show(("account", "address credits", "created", "state"), rows, nothing="there are no accounts")


@app.command("set-credits")
def set_credits(
    account: _Account,
    credits_: Annotated[int, typer.Argument(metavar="CREDITS", help="How many addresses it may reserve.")],
    *,
    json: _Json = False,
) -> None:
    """Set how many addresses an account may reserve; those beyond stay reserved.

    Example:
      relay account set-credits user1 100
    """
    _show(ask(lambda accounts: accounts.accounts.update(account, address_credits=credits_)), json=json)


@app.command()
def disable(account: _Account, *, json: _Json = False) -> None:
    """End all keys of an account, and their sockets, until it is enabled.

    Its addresses stay reserved, and their mail is kept.

    Example:
      relay account disable user1
    """
    _show(ask(lambda accounts: _after(accounts, account, closing.disable)), json=json)


@app.command()
def enable(account: _Account, *, json: _Json = False) -> None:
    """Have all keys of a disabled account work again.

    Example:
      relay account enable user1
    """
    _show(ask(lambda accounts: _after(accounts, account, closing.enable)), json=json)


@app.command()
def remove(
    account: _Account,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: _Json = False,
) -> None:
    """Remove an account with its keys, addresses, their mail, and domains.

    An accounts file that names it brings it back at the next start.

    Example:
      relay account remove user1 --yes
    """
    if not yes:
        typer.confirm(f"Remove account {account} with all its addresses and mail?", abort=True, err=True)
    ask(lambda accounts: closing.remove(accounts, account))
    if json:
        print_json({"id": account, "removed": True})
        return
    print(f"account {account} is removed, with its keys, addresses, mail and domains")


def _show(account: Account, *, json: bool) -> None:
    if json:
        print_json(_as_json(account))
        return
    state = f"disabled ({account.disabled_by})" if account.disabled_by else "enabled"
    print(f"account {account.id} is {state}, and may reserve {account.address_credits} addresses")


async def _after(
    accounts: Accounts, account_id: str, change: Callable[[Accounts, str], Awaitable[None]]
) -> Account:
    await change(accounts, account_id)
    return await accounts.accounts.get(account_id)


async def _add(accounts: Accounts, account: str, address_credits: int, key: bool) -> tuple[Account, NewKey | None]:
    made = await accounts.accounts.create(account, address_credits=address_credits)
    return made, await accounts.keys.add(account, label="first") if key else None


def _as_json(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "address_credits": account.address_credits,
        "created": iso(account.created_ms),
        "disabled": bool(account.disabled_by),
    }
