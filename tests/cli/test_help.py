"""What a stranger reads first, and how fast it comes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer.core
import typer.main

from relay import __version__
from relay.cli import VERBS, app, exits, load
from tests.cli.command import ROOT, environment, run
from tests.cli.conftest import Here

COMMANDS = [
    (verb, *([name] if name else [])) for verb in VERBS for name in ("", *getattr(load(verb), "commands", {}))
]


def command_of(path: tuple[str, ...]) -> typer.core.TyperCommand:
    command = load(path[0])
    for name in path[1:]:
        command = command.commands[name]
    return command  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_verb_has_an_example_that_begins_with_itself(path: tuple[str, ...]) -> None:
    text, _, example = (command_of(path).help or "").partition("Example:\n")
    assert text.strip()
    assert f"relay {' '.join(path)} " in example + " "


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_and_argument_is_explained(path: tuple[str, ...]) -> None:
    assert all(getattr(parameter, "help", "") for parameter in command_of(path).params)


@pytest.mark.parametrize("verb", VERBS)
def test_the_list_of_verbs_says_what_the_verb_says(verb: str) -> None:
    assert (load(verb).help or "").splitlines()[0] == VERBS[verb]


def test_help_names_every_verb_and_every_exit_code() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert all(f" {verb} " in shown.stdout for verb in VERBS)
    codes = [value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)]
    assert len(codes) == 6
    assert all(f"\n {code}  " in shown.stdout for code in codes)


def test_version() -> None:
    assert run("--version").stdout == f"relay {__version__}\n"


@pytest.mark.parametrize("arguments", [("bogus",), ("serve", "--bogus"), ("listen", "--count", "none")])
def test_a_wrong_command_line_is_exit_code_2(here: Here, arguments: tuple[str, ...]) -> None:
    refused = here(*arguments)
    assert refused.returncode == exits.MISCONFIGURED
    assert refused.stdout == ""


def test_tracebacks_with_local_variables_are_off() -> None:
    assert app.pretty_exceptions_enable is False


@pytest.mark.parametrize("arguments", [("check",), ("--help",)])
def test_a_probe_and_the_help_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    started = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "relay.cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment({"RELAY_PORT": "1"}),
    )
    loaded = {line.rpartition("|")[2].strip() for line in started.stderr.splitlines()}
    assert "relay.cli" in loaded
    assert not loaded & {"starlette", "uvicorn", "redis", "fakeredis", "websockets", "httpx2", "structlog"}
