"""``relay key``: API keys of an account. Works on Redis, by the RELAY_* settings."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from relay.accounts import Accounts
from relay.accounts.api_keys import ApiKey, NewKey
from relay.accounts.rights import Scope
from relay.cli import table
from relay.cli.console import print_json
from relay.cli.registry import ask, iso

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="""Make, list and revoke API keys.

    Needs RELAY_REDIS_URL. A key is shown once, and kept as SHA-256 only.

    Example:
      relay key add user1 --label laptop""",
)
_Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account id.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    account: _Account,
    *,
    label: Annotated[str, typer.Option(help="Whose it is, or what for.")] = "",
    read_only: Annotated[bool, typer.Option("--read-only", help="It may change and delete nothing.")] = False,
    address: Annotated[str, typer.Option(help="It reaches the mail of this address only.")] = "",
    expires: Annotated[
        str, typer.Option(metavar="30d", help="It lives so long: a number with s, m, h or d.")
    ] = "",
    json: _Json = False,
) -> None:
    """Make one more API key; it is shown this once.

    Example:
      relay key add user1 --label laptop
      relay key add user1 --address signup@example.com --read-only --expires 30d
    """

    async def made(accounts: Accounts) -> tuple[NewKey, Scope]:
        scope = await accounts.scope(account, read_only=read_only, address=address, expires=expires)
        return await accounts.keys.add(account, label=label, scope=scope), scope

    new, scope = ask(made)
    if json:
        print_json({"account": account, "id": new.id, "key": new.key, "label": label} | _scope_as_json(scope))
        return
    print(f"API key {new.id} of {account}, shown only now: {new.key}")


@app.command("list")
def list_(account: _Account, *, json: _Json = False) -> None:
    """List the keys of an account: ids and labels, never the keys.

    Example:
      relay key list user1
    """
    found = ask(lambda accounts: _list(accounts, account))
    if json:
        print_json([_as_json(key) for key in found])
        return
    rows = [(key.id, key.label, key.source, iso(key.created_ms), _limits(key.scope)) for key in found]
    table.show(("key id", "label", "source", "created", "limits"), rows, nothing=f"{account} has no keys")


@app.command()
def revoke(
    account: _Account,
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `relay key list` shows it.")],
    *,
    json: _Json = False,
) -> None:
    """End a key, and every socket that it opened, at once.

    Example:
      relay key revoke user1 1f2e3d4c5b6a
    """
    revoked = ask(lambda accounts: accounts.keys.revoke(account, key_id))
    if json:
        print_json(_as_json(revoked))
        return
    print(f"key {revoked.id} of {account} is revoked")


async def _list(accounts: Accounts, account: str) -> list[ApiKey]:
    await accounts.accounts.get(account)
    return await accounts.keys.list(account)


def _as_json(key: ApiKey) -> dict[str, Any]:
    row = {"id": key.id, "label": key.label, "source": key.source, "created": iso(key.created_ms)}
    return row | _scope_as_json(key.scope)


def _scope_as_json(scope: Scope) -> dict[str, Any]:
    expires = iso(scope.expires_ms) if scope.expires_ms else None
    return {"read_only": scope.read_only, "address": scope.address or None, "expires": expires}


def _limits(scope: Scope) -> str:
    limits = [scope.address, "read-only" if scope.read_only else ""]
    return ", ".join(filter(None, [*limits, f"until {iso(scope.expires_ms)}" if scope.expires_ms else ""]))
