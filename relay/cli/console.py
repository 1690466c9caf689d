"""What the command says: complaints on stderr, and on stdout lines for people or JSON for programs."""

from __future__ import annotations

import os
import sys
from typing import Any

import orjson


def complain(*texts: str) -> None:
    """One line on stderr for each line of each text, named as ours."""
    for text in texts:
        for line in text.splitlines() or [""]:
            print(f"relay: {printable(line)}", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """The text without what could command a terminal or reorder a line: mail is written by strangers."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def print_json(value: Any) -> None:
    """One JSON object on one line of stdout; always UTF-8, whatever the locale is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def for_people() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()


def abandon_stdout() -> None:
    """For when its reader has gone: what is still buffered would fail once more when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
