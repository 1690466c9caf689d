"""``relay domain``: custom domains of an account. Works on Redis, by the RELAY_* settings.

Exit codes beside the usual ones: ``verify`` ends with 1 when the proof is not there.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from relay.accounts import Accounts
from relay.accounts.domains import Domain
from relay.address import canonical_domain
from relay.cli import exits, table
from relay.cli.console import complain, print_json
from relay.cli.registry import ask, iso

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="""Add, verify, list and remove custom domains.

    Needs RELAY_REDIS_URL. All mail of a verified domain is its account's.

    Example:
      relay domain add user1 example.com""",
)
_Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account id.")]
_Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="Such as example.com.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    account: _Account,
    domain: _Domain,
    *,
    force: Annotated[bool, typer.Option("--force", help="Owned at once, without the DNS.")] = False,
    json: _Json = False,
) -> None:
    """Add a domain, and say which TXT record proves it.

    Example:
      relay domain add user1 example.com
    """
    name = canonical_domain(domain)
    added = ask(lambda accounts: _add(accounts, account, name, force))
    if json:
        print_json(_as_json(added))
    elif added.verified:
        print(f"{name} belongs to {account}")
    else:
        print(f"{name} is added; set this TXT record at {name}, then run relay domain verify:")
        print(added.verification_txt)


@app.command()
def verify(account: _Account, domain: _Domain, *, json: _Json = False) -> None:
    """Ask the DNS for the TXT record; exit code 1 when it is not there.

    Example:
      relay domain verify user1 example.com
    """
    name = canonical_domain(domain)
    found = ask(lambda accounts: accounts.domains.verify(account, name))
    if json:
        print_json(_as_json(found))
    elif found.verified:
        print(f"{name} belongs to {account}")
    else:
        complain(f"{name} is not verified: {found.last_verification_errors}")
        print(f"the TXT record to set at {name}: {found.verification_txt}")
    raise typer.Exit(exits.DONE if found.verified else exits.FAILED)


@app.command("list")
def list_(account: _Account, *, json: _Json = False) -> None:
    """List the domains of an account.

    Example:
      relay domain list user1
    """
    found = ask(lambda accounts: _list(accounts, account))
    if json:
        print_json([_as_json(domain) for domain in found])
        return
    rows = [(one.name, "yes" if one.verified else "no", one.verification_txt) for one in found]
    table.show(("domain", "verified", "TXT record"), rows, nothing=f"{account} has no domains")


@app.command()
def remove(account: _Account, domain: _Domain, *, json: _Json = False) -> None:
    """Give a domain up; its reserved addresses must be released first.

    Example:
      relay domain remove user1 example.com
    """
    name = canonical_domain(domain)
    ask(lambda accounts: accounts.domains.remove(account, name))
    if json:
        print_json({"domain": name, "removed": True})
        return
    print(f"{name} is removed")


async def _add(accounts: Accounts, account: str, name: str, force: bool) -> Domain:
    await accounts.accounts.get(account)  # the domains trust their caller in this
    if not force:
        return await accounts.domains.add(account, name)
    await accounts.domains.declare(account, name, source="cli")  # what no file says, no file ends
    return await accounts.domains.get(account, name)


async def _list(accounts: Accounts, account: str) -> list[Domain]:
    await accounts.accounts.get(account)
    return await accounts.domains.list(account)


def _as_json(domain: Domain) -> dict[str, Any]:
    return {
        "domain": domain.name,
        "owner": domain.owner or None,
        "verified": domain.verified,
        "verification_txt": domain.verification_txt,
        "last_verification_errors": domain.last_verification_errors,
        "created": iso(domain.created_ms),
    }
