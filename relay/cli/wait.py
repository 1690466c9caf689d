"""``relay wait``: one mail, for scripts: :class:`relay.client.inbox.Inbox` on the command line.

Exit codes: 0 it came; 1 no relay was reached; 2 wrong command line; 3 nothing came in time; 4 it came, but has no code
or link; 5 the service says that asking again makes no sense.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from relay.address import BadAddress, canonical_address
from relay.cli import credential, exits
from relay.cli.console import complain, print_json, printable
from relay.client.errors import NotWanted
from relay.client.inbox import Inbox, Mail, NothingCame, Unreached
from relay.regex import BadRegex, Pattern, compiled

_SCHEME = re.compile(r"\Aws(s?)://")

_LONG_SECONDS = 10.0 * 365 * 86_400  # so that it is a date

app = typer.Typer(add_completion=False)


@app.command()
def wait(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="One of the account's addresses.")],
    *,
    url: Annotated[str, typer.Option(help="Base URL of the service.")] = "http://127.0.0.1:8000",
    key: credential.Key = None,
    key_file: credential.KeyFile = None,
    subject: Annotated[str, typer.Option(help="Part of the subject, in any case.")] = "",
    from_: Annotated[str, typer.Option("--from", help="Part of the sender's address or name.")] = "",
    regex: Annotated[str, typer.Option(help="RE2 pattern found in subject, text or HTML.")] = "",
    since: Annotated[
        str, typer.Option(help="Only mail after this _id, age (10m) or time (RFC 3339); else all that is kept.")
    ] = "",
    mark: Annotated[
        bool, typer.Option("--mark", help="Print where the inbox stands now, for --since, and wait for nothing.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait.")] = 60.0,
    code: Annotated[bool, typer.Option("--code", help="Print only the one-time code in it.")] = False,
    link: Annotated[
        bool, typer.Option("--link", help="Print only its first link; with --link-regex the first such.")
    ] = False,
    link_regex: Annotated[str, typer.Option(help="RE2 pattern that the link of --link must hold.")] = "",
    json: Annotated[
        bool, typer.Option("--json", help="Print it as JSON, its text included, on one line.")
    ] = False,
) -> None:
    """Wait for one mail, and print it, its code or its link.

    Mail that is there already counts, unless --since says from where on: take
    it by --mark before the mail is caused, or use an address once. When
    nothing comes in time, what came instead, and why it was not it, is told
    on stderr, and the exit code is 3; it is 4 when the mail has no code or
    link, and 1 when the service could not be reached at all.

    Example:
      relay wait user1@mailsac.com --subject "verify" --since 1m --code
    """
    if code and link:
        raise typer.BadParameter("give one of the two", param_hint="--code, --link")
    pattern = _pattern(link_regex)
    proof = credential.read(key, key_file, option="--key", variable="MAILSAC_KEY")
    try:
        base = _SCHEME.sub(r"http\1://", url)
        inbox = Inbox(
            base, key=proof, address=canonical_address(address), since=since, on_away=_teller(base, timeout)
        )
    except BadAddress as error:
        raise typer.BadParameter(str(error), param_hint="ADDRESS") from error
    except ValueError as error:
        raise typer.BadParameter("must be such as http://127.0.0.1:8000", param_hint="--url") from error
    with inbox:
        try:
            if mark:
                print(inbox.mark())
                return
            mail = inbox.wait(subject=subject, sender=from_, regex=regex, timeout_seconds=timeout)
        except NothingCame as nothing:
            complain(str(nothing))
            raise typer.Exit(exits.FAILED if isinstance(nothing, Unreached) else exits.TIMED_OUT) from nothing
        except NotWanted as refused:
            complain(str(refused))
            raise typer.Exit(exits.REFUSED) from refused
    raise typer.Exit(_tell(mail, code=code, pattern=pattern if link else None, json=json))


def _teller(base: str, timeout_seconds: float) -> Callable[[str], None]:
    """Says that the service is away, and how long that may go on."""
    until = datetime.now(UTC) + timedelta(seconds=min(timeout_seconds, _LONG_SECONDS))

    def tell(why: str) -> None:
        if datetime.now(UTC) < until:
            complain(f"cannot reach {base}: {why}; trying on until {until:%H:%M:%S}Z")

    return tell


def _pattern(text: str) -> Pattern:
    try:
        return compiled(text)
    except BadRegex as error:
        raise typer.BadParameter(str(error), param_hint="--link-regex") from error


def _tell(mail: Mail, *, code: bool, pattern: Pattern | None, json: bool) -> int:
    """Prints what is wanted of it; the exit code."""
    if code or pattern:
        links = (link for link in mail.links if pattern and pattern.found_in(link))
        found = mail.code if code else next(links, None)
        if found is None:
            complain(f"the mail came ({mail.id}), but has no {'code' if code else 'such link'}")
            return exits.REJECTED
        print(printable(found))
    elif json:
        print_json({**mail.entry, "text": mail.text})
    else:
        senders = ", ".join(str(one.get("address", "")) for one in mail.entry.get("from") or ())
        print(printable(f"{mail.id}  {senders}  {mail.subject or '(no subject)'}"))
    return exits.DONE
