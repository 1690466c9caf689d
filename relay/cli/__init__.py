"""The ``relay`` command: one file a verb, loaded when the verb is used, so that ``relay check`` starts fast.

Exit codes are those of :mod:`relay.cli.exits`. What goes wrong for a known reason is said on stderr in lines that
begin with ``relay:``; only a mistake of ours ends in a traceback.
"""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from relay import __version__
from relay.cli import exits
from relay.cli.console import complain
from relay.errors import ConfigError, RelayError

# Verb -> the first line of its help. It stands here too, so that `relay --help` loads none of them.
VERBS = {
    "serve": "Run the service.",
    "demo": "Run the service in memory and send a first mail through it.",
    "listen": "Print mail as it arrives.",
    "wait": "Wait for one mail, and print it, its code or its link.",
    "send": "Post a mail to a service.",
    "account": "Add, list, disable and remove accounts.",
    "key": "Make, list and revoke API keys.",
    "address": "Reserve, list and release addresses.",
    "domain": "Add, verify, list and remove custom domains.",
    "providers": "List the mail providers, and the URL that each is told.",
    "parked": "List, show, retry and drop mail that could not be read.",
    "activity": "Tell why nothing arrived: what happened lately, oldest first.",
    "check": "Tell whether a service is alive, for containers.",
}


_RENAMED = {"senders": "providers"}  # version 0.1 -> now


class Verbs(typer.core.TyperGroup):
    """The verbs: known by name and one line, until one of them is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, line in VERBS.items():
            self.add_command(typer.core.TyperCommand(name, help=line))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb itself in place of its line, also under its old name."""
        name, known, rest = super().resolve_command(ctx, [_RENAMED.get(args[0], args[0]), *args[1:]])
        return (name, load(name), rest) if name in VERBS else (name, known, rest)


def load(verb: str) -> Any:
    """The command of a verb, as click knows it."""
    return typer.main.get_command(import_module(f"relay.cli.{verb}").app)


# Without pretty exceptions: they print local variables, and those hold keys and mail.
app = typer.Typer(
    cls=Verbs,
    epilog=exits.TABLE,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"relay {__version__}")
        raise typer.Exit


@app.callback()
def relay(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Inbound mail over HTTP in, JSON over WebSockets out.

    Start with `relay demo`. The service takes its settings from RELAY_* variables; README.md lists them.
    """


def main() -> None:
    """Runs the command line of this process, and exits."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a locale without UTF-8 shall not end a listener
    try:
        app(prog_name="relay")
    except ConfigError as error:
        complain(*error.problems)
        sys.exit(exits.MISCONFIGURED)
    except RelayError as error:
        complain(str(error))
        sys.exit(exits.FAILED)
