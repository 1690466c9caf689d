"""``relay listen``: mail as it arrives, a line each: :mod:`relay.client` for people and scripts.

Exit codes: 0 stopped, or --count reached, or nobody reads stdout any more; 1 unreachable (with --no-reconnect) or
not a relay; 2 wrong command line; 3 --timeout passed; 5 the server says not to come back.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from relay import client
from relay.cli import credential, exits
from relay.cli.console import abandon_stdout, complain, print_json, printable
from relay.client import target

app = typer.Typer(add_completion=False)


@app.command()
def listen(
    base: Annotated[str, typer.Argument(metavar="URL", help="The same as --url.")] = "",
    *,
    url: Annotated[
        str, typer.Option(help="Base URL of the service, or the whole URL of a socket.")
    ] = "ws://127.0.0.1:8000",
    key: credential.Key = None,
    key_file: credential.KeyFile = None,
    account: Annotated[str, typer.Option(help="Account id; the key's, so it may be left out.")] = "",
    addresses: Annotated[str, typer.Option(help="Comma list of addresses and own domains.")] = "",
    state: Annotated[
        Path | None, typer.Option(help="File that keeps where it stands: next time it goes on there.")
    ] = None,
    since: Annotated[
        str, typer.Option(help="Where to begin: 10m, a time (RFC 3339) or _ids; not when --state has begun.")
    ] = "",
    frames: Annotated[  # older scripts give it
        Literal["message", "envelope"] | None,
        typer.Option(help="For older scripts; the output is the same whatever is given.", hidden=True),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print each message as JSON on one line.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after that many messages.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0, help="End after that many seconds.")] = None,
    reconnect: Annotated[bool, typer.Option("--reconnect/--no-reconnect", help="Come back when cut off.")] = True,
) -> None:
    """Print mail as it arrives.

    The key is sent in a header, never in the URL. What else happens is told
    on stderr. When cut off it connects again and goes on where it stood,
    after up to 1 second, or 5 when the service restarts; then after longer
    each time, up to 30; and not before the service wants it. It does not
    when the service says that this makes no sense, which is exit code 5. With
    --timeout, exit code 3 means that fewer than --count messages (by default
    1) came in time.

    Example:
      MAILSAC_KEY=your-key relay listen --addresses user1@mailsac.com
    """
    try:
        called = target.parse(base or url, addresses=[addresses] if addresses else [])
        given = called.key if called.key and not key_file else key
        proof = credential.read(given, key_file, option="--key", variable="MAILSAC_KEY")
        messages = client.listen(
            base or url,
            key=proof,
            addresses=addresses,
            account=account,
            since=since,
            state=state,
            reconnect=reconnect,
        )
    except target.BadTarget as error:
        raise typer.BadParameter(str(error)) from error
    _tell_what_the_client_logs()
    printer: Callable[[client.Message], None] = print_json if json else _Lines()
    raise typer.Exit(asyncio.run(_until_told(_print(messages, printer, count, timeout))))


class _Complaints(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


def _tell_what_the_client_logs() -> None:
    """Connections, waits and gaps, on stderr."""
    client_log = logging.getLogger("relay.client")
    client_log.handlers = [_Complaints()]
    client_log.setLevel(logging.INFO)
    client_log.propagate = False


async def _until_told(printing: Coroutine[Any, Any, int]) -> int:
    """The exit code of ``printing``, or of being stopped by SIGINT or SIGTERM."""
    task = asyncio.ensure_future(printing)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return exits.DONE
    except client.NotWanted as error:
        complain(str(error))
        return exits.REFUSED
    except BrokenPipeError:
        abandon_stdout()
        return exits.DONE


async def _print(
    listener: client.Listener,
    printer: Callable[[client.Message], None],
    count: int | None,
    limit_seconds: float | None,
) -> int:
    seen = 0
    try:
        async with asyncio.timeout(limit_seconds), listener as messages:
            async for message in messages:
                printer(message)
                seen += 1
                if seen == count:
                    return exits.DONE
    except TimeoutError:
        if count is None and seen:
            return exits.DONE
        complain(f"{seen} of {count or 1} messages came in {limit_seconds:g} s")
    return exits.TIMED_OUT


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would end the process with 1 here; a reader that has gone is a clean end


class _Lines:
    """A message as one line for people: time, sender, inbox, subject."""

    def __init__(self) -> None:
        self._console = _Terminal(highlight=False, soft_wrap=True)

    def __call__(self, message: client.Message) -> None:
        line = Text(f"{_time(message.get('received'))}  ")
        line.append(printable(_sender(message.get("from"))), style="cyan")
        line.append(f" → {printable(str(message.get('inbox', '')))}  ")
        line.append(printable(str(message.get("subject") or "(no subject)")), style="bold")
        self._console.print(line)
        self._console.file.flush()


def _time(received: Any) -> str:
    """The time of day here."""
    try:
        return datetime.fromisoformat(received).astimezone().strftime("%H:%M:%S")
    except (ValueError, TypeError):
        return "--:--:--"


def _sender(mailboxes: Any) -> str:
    try:
        first = mailboxes[0]
        return f"{first['name']} <{first['address']}>" if first["name"] else str(first["address"])
    except (LookupError, TypeError):
        return "(no sender)"
