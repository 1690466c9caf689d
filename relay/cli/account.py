"""``relay account``: who may reserve addresses, and how many. Works on Redis, by the RELAY_* settings."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from relay.accounts import Accounts
from relay.accounts.accounts import DEFAULT_CREDITS, Account
from relay.accounts.api_keys import NewKey
from relay.cli import table
from relay.cli.console import print_json
from relay.cli.registry import ask, iso

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="""Add and list accounts.

    Needs RELAY_REDIS_URL; a service on memory:// takes them from its
    accounts file (RELAY_ACCOUNTS_FILE).

    Example:
      relay account add user1""",
)


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
    rows = [(account.id, str(account.address_credits), iso(account.created_ms)) for account in found]
    table.show(("account", "address credits", "created"), rows, nothing="there are no accounts")


async def _add(accounts: Accounts, account: str, address_credits: int, key: bool) -> tuple[Account, NewKey | None]:
    made = await accounts.accounts.create(account, address_credits=address_credits)
    return made, await accounts.keys.add(account, label="first") if key else None


def _as_json(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "address_credits": account.address_credits,
        "created": iso(account.created_ms),
    }
