"""An API key or a provider's secret as the command takes it: from a file, the environment or an option."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# The options of every command that asks a service as one of its accounts.
Key = Annotated[
    str | None,
    typer.Option(envvar="MAILSAC_KEY", help="API key; as an option `ps` shows it to everybody."),
]
KeyFile = Annotated[Path | None, typer.Option(help="File with the API key; wins.")]

_PEM = "-----BEGIN "


def read(given: str | None, file: Path | None, *, option: str, variable: str) -> str:
    """The file's first line, or all of a PEM file, else what was given (by option or variable).

    Raises BadParameter: there is none.
    """
    text = _in_file(file, option) if file else (given or "").strip()
    if text.startswith(_PEM):  # a private key; it signs, and travels nowhere
        return text
    if not text:
        raise typer.BadParameter(f"give one by {option}-file, {variable} or {option}", param_hint=option)
    # It travels in a header; and an error of the HTTP library would print what does not fit there.
    if not (text.isascii() and text.isprintable()):
        raise typer.BadParameter("has characters other than visible ASCII", param_hint=option)
    return text


def _in_file(file: Path, option: str) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
        return text if text.startswith(_PEM) else next(iter(text.splitlines()), "").strip()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint=f"{option}-file") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not text", param_hint=f"{option}-file") from error
