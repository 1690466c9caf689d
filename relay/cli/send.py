"""``relay send``: one mail from a file or from stdin to a service, as it is or as a provider would post it.

Exit codes: 0 every recipient accepted, 1 refused or unreachable, 2 wrong command line, 4 a recipient rejected.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer

from relay import builders, settings
from relay.builders import Built, CannotBuild
from relay.cli import credential, exits
from relay.cli.console import print_json, printable
from relay.errors import RelayError
from relay.network import is_loopback, reason_of, split

_TIMEOUT_SECONDS = 60.0  # of each step; a large mail over a slow line takes many of them
# Of no use to try without their own service.
_ELSEWHERE = {
    "resend": "resend posts an id only, and relay fetches the mail from Resend, where this one is not: send a mail to"
    " an address of a domain at Resend instead",
}

app = typer.Typer(add_completion=False)


@app.command()
def send(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The mail (RFC 5322), such as mail.eml; - reads stdin.")
    ],
    *,
    to: Annotated[
        list[str] | None,
        typer.Option(help="Envelope recipient; may be given again. Without it the mail must name exactly one."),
    ] = None,
    as_: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Provider to post as, see `relay providers`.")
    ] = "raw",
    url: Annotated[str, typer.Option(help="Base URL of the service.")] = "http://127.0.0.1:8000",
    secret: Annotated[
        str | None,
        typer.Option(help="Secret of the provider; else RELAY_<NAME>_SECRET. `ps` shows it to everybody."),
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option(help="File with the secret, or with a PEM private key; wins.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the service's answer as JSON.")] = False,
) -> None:
    """Post a mail to a service.

    Exit code 0 means that every recipient was accepted, 4 that one was
    rejected (nobody reserved the address, or its forwarding is off), or
    that the service could not read the post, and has parked it.
    --as posts it the way that provider would, signed with the secret.

    Example:
      relay send mail.eml --to user1@mailsac.com --secret-file secret.txt
    """
    if as_ in _ELSEWHERE:
        raise typer.BadParameter(_ELSEWHERE[as_], param_hint="--as")
    if as_ not in builders.names():
        raise typer.BadParameter(f"must be one of {', '.join(builders.names())}", param_hint="--as")
    variable = f"{settings.PREFIX}{as_.upper()}_SECRET"
    given = secret or settings.provider_secret(as_)
    proof = credential.read(given, secret_file, option="--secret", variable=variable)
    answer: dict[str, Any] = {"accepted": [], "rejected": []}
    for post in _posts(as_, _mail(file), to or [], proof.partition(",")[0].strip()):
        for outcome, some in _post(_base(url), post, variable).items():
            answer[outcome] = [*answer.get(outcome, ()), *some]
    if json:
        print_json(answer)
    else:
        _tell(answer)
    raise typer.Exit(exits.REJECTED if answer["rejected"] or answer.get("parked") else exits.DONE)


def _base(url: str) -> str:
    try:
        return split(url, ("http", "https")).geturl().rstrip("/")
    except ValueError as error:
        raise typer.BadParameter("must be such as http://127.0.0.1:8000", param_hint="--url") from error


def _mail(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="FILE") from error


def _posts(name: str, mail: bytes, recipients: list[str], secret: str) -> Iterator[Built]:
    """One for each recipient, as most providers do; a script names them all at once."""
    if not recipients and name != "raw":
        raise typer.BadParameter(f"{name} names the recipient beside the mail: give one", param_hint="--to")
    if not all(map(str.isprintable, recipients)):
        raise typer.BadParameter("has a line break or another control character", param_hint="--to")
    for some in [recipients] if name == "raw" else [[recipient] for recipient in recipients]:
        try:
            yield builders.build(name, mail, some, secret, datetime.now(UTC))
        except CannotBuild as error:
            raise typer.BadParameter(str(error), param_hint="FILE") from error
        except ValueError as error:  # without its text: it may hold the secret
            raise typer.BadParameter(f"{name} cannot sign with this secret", param_hint="--secret") from error


def _post(base: str, post: Built, variable: str) -> dict[str, Any]:
    """The service's report. Raises RelayError: unreachable, or anything but 200."""
    headers = [(name.encode(), value.encode("utf-8", "replace")) for name, value in post.headers]
    url = f"{base}{post.target.partition('?')[0]}"  # what is said of it shall not hold the query: a secret may be in it
    try:
        with httpx2.Client(timeout=_TIMEOUT_SECONDS, trust_env=not is_loopback(base)) as client:
            response = client.post(f"{base}{post.target}", content=post.body, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise RelayError(f"cannot post to {url}: {reason_of(error)}") from error
    if response.status_code != 200:
        raise RelayError(f"{url} answers {response.status_code}: {why_refused(response, variable)}")
    return _report(url, response)


def why_refused(response: httpx2.Response, variable: str) -> str:
    """The service's own sentence, and a cure where it cannot know one."""
    try:
        sentence = str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        sentence = next(iter(response.text.splitlines()), response.reason_phrase)
    if response.status_code == 404:
        sentence += f" (the path exists only while the service has a {variable})"
    return sentence


def _report(url: str, response: httpx2.Response) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = response.json()
        if isinstance(answer["accepted"], list) and isinstance(answer["rejected"], list):
            return answer
    except (ValueError, KeyError, TypeError):
        pass
    raise RelayError(f"{url} answers 200, but not as relay does; is it the right service?")


def _tell(answer: dict[str, Any]) -> None:
    for one in answer["accepted"]:
        print(printable(f"accepted for {one['inbox']}: {one['_id']}"))
    for one in answer["rejected"]:
        print(printable(f"rejected for {one['inbox']}: {one['reason']}"))
    for one in answer.get("parked", ()):
        print(printable(f"parked as {one['id']}: {one['reason']}"))
    for one in answer.get("fetching", ()):
        print(printable(f"being fetched as {one['id']}"))
