"""``relay send``: one mail from a file or from stdin to ``POST /inbound/raw`` of a service.

Exit codes: 0 every recipient accepted, 1 refused or unreachable, 2 wrong command line, 4 a recipient rejected.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import httpx2
import typer

from relay.cli import credential, exits
from relay.cli.console import print_json, printable
from relay.errors import RelayError
from relay.network import is_loopback, reason_of, split

_TIMEOUT_SECONDS = 60.0  # of each step; a large mail over a slow line takes many of them

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
    url: Annotated[str, typer.Option(help="Base URL of the service.")] = "http://127.0.0.1:8000",
    secret: Annotated[
        str | None,
        typer.Option(envvar="RELAY_RAW_SECRET", help="Secret of the sender raw; `ps` shows it to everybody."),
    ] = None,
    secret_file: Annotated[Path | None, typer.Option(help="File with the secret; wins.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the service's answer as JSON.")] = False,
) -> None:
    """Post a mail to a service.

    Exit code 0 means that every recipient was accepted, 4 that one was
    rejected: nobody reserved the address, or its forwarding is off.

    Example:
      relay send mail.eml --to user1@mailsac.com --secret-file secret.txt
    """
    proof = credential.read(secret, secret_file, option="--secret", variable="RELAY_RAW_SECRET")
    answer = _post(_base(url), _mail(file), to or [], proof.partition(",")[0].strip())
    if json:
        print_json(answer)
    else:
        _tell(answer)
    raise typer.Exit(exits.REJECTED if answer["rejected"] else exits.DONE)


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


def _post(base: str, mail: bytes, recipients: list[str], secret: str) -> dict[str, Any]:
    """The service's report. Raises RelayError: unreachable, or anything but 200."""
    headers = [(b"content-type", b"message/rfc822"), (b"authorization", b"Bearer " + secret.encode())]
    headers.append((b"webhook-id", f"msg_{uuid4().hex}".encode()))  # the same file sent again is meant anew
    headers += [(b"x-envelope-to", _header(recipient)) for recipient in recipients]
    url = f"{base}/inbound/raw"
    try:
        with httpx2.Client(timeout=_TIMEOUT_SECONDS, trust_env=not is_loopback(base)) as client:
            response = client.post(url, content=mail, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise RelayError(f"cannot post to {url}: {reason_of(error)}") from error
    if response.status_code != 200:
        raise RelayError(f"{url} answers {response.status_code}: {why_refused(response)}")
    return _report(url, response)


def _header(recipient: str) -> bytes:
    if not recipient.isprintable():
        raise typer.BadParameter("has a line break or another control character", param_hint="--to")
    return recipient.encode("utf-8", "replace")


def why_refused(response: httpx2.Response) -> str:
    """The service's own sentence, and a cure where it cannot know one."""
    try:
        sentence = str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        sentence = next(iter(response.text.splitlines()), response.reason_phrase)
    if response.status_code == 404:
        sentence += " (the path exists only while the service has a RELAY_RAW_SECRET)"
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
