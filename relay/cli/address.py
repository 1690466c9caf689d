"""``relay address``: addresses of an account. Works on Redis, by the RELAY_* settings."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from relay.accounts import Accounts
from relay.accounts.reservation import Change, Reservation
from relay.address import canonical_address
from relay.cli import table
from relay.cli.console import print_json
from relay.cli.registry import ask, iso

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="""Reserve, list and release addresses.

    Needs RELAY_REDIS_URL, and the RELAY_DOMAINS of the service: the same
    rules hold as over REST.

    Example:
      relay address add user1 user1@mailsac.com""",
)
_Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account id.")]
_Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="Mail address.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    account: _Account,
    address: _Address,
    *,
    ws: Annotated[bool, typer.Option("--ws/--no-ws", help="Switch WebSocket forwarding on.")] = True,
    force: Annotated[bool, typer.Option("--force", help="On any domain, and beyond the credits.")] = False,
    json: _Json = False,
) -> None:
    """Reserve an address, with WebSocket forwarding on.

    Example:
      relay address add user1 user1@mailsac.com
    """
    canonical = canonical_address(address)
    reserved = ask(lambda accounts: _add(accounts, account, canonical, ws, force))
    if json:
        print_json(_as_json(reserved))
        return
    print(f"{reserved.address} is reserved by {account}; forwarding is {_on_off(reserved.enablews)}")


@app.command("list")
def list_(account: _Account, *, json: _Json = False) -> None:
    """List the addresses of an account.

    Example:
      relay address list user1
    """
    found = ask(lambda accounts: _list(accounts, account))
    if json:
        print_json([_as_json(reservation) for reservation in found])
        return
    rows = [(one.address, _on_off(one.enablews), one.info, iso(one.created_ms)) for one in found]
    table.show(("address", "forwarding", "info", "created"), rows, nothing=f"{account} has no addresses")


@app.command()
def release(account: _Account, address: _Address, *, json: _Json = False) -> None:
    """Give an address up, with the mail that is kept for it.

    Example:
      relay address release user1 user1@mailsac.com
    """
    canonical = canonical_address(address)
    ask(lambda accounts: accounts.addresses.release(account, canonical))
    if json:
        print_json({"address": canonical, "released": True})
        return
    print(f"{canonical} is released")


async def _add(accounts: Accounts, account: str, address: str, ws: bool, force: bool) -> Reservation:
    if not force:
        return await accounts.addresses.reserve(account, address, Change(enablews=ws))
    await accounts.accounts.get(account)  # declare trusts its caller in this
    await accounts.addresses.declare(account, address, enablews=ws)
    return await accounts.addresses.get(account, address)


async def _list(accounts: Accounts, account: str) -> list[Reservation]:
    await accounts.accounts.get(account)
    return await accounts.addresses.list(account)


def _on_off(enablews: bool) -> str:
    return "on" if enablews else "off"


def _as_json(reservation: Reservation) -> dict[str, Any]:
    return {
        "address": reservation.address,
        "owner": reservation.owner,
        "enablews": reservation.enablews,
        "info": reservation.info,
        "created": iso(reservation.created_ms),
    }
