"""What the person who runs the tests says: options of pytest, settings of pytest.ini, and the environment.

The only file of the client and test kit that reads the environment: the service's ``settings`` is not in the kit.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def add(parser: pytest.Parser) -> None:
    """The options, each also a setting of pytest.ini under the name with underscores."""
    group = parser.getgroup("relay", "mail that arrives at relay")
    for option, meaning in (
        ("--relay-url", "base URL of a relay that runs already"),
        ("--relay-domain", "domain of it of which addresses may be reserved"),
        ("--relay-key-file", "file with the API key of an account of it; else MAILSAC_KEY"),
    ):
        group.addoption(option, default=None, help=meaning)
        parser.addini(option.removeprefix("--").replace("-", "_"), meaning, default="")


def value(config: pytest.Config, name: str) -> str:
    """Of an option, else of the setting of pytest.ini; "" = neither is given."""
    return str(config.getoption(name) or config.getini(name) or "")


def key(file: str) -> str:
    """The API key in a file, or in the environment where no file is named; "" = there is none."""
    if not file:
        return os.environ.get("MAILSAC_KEY", "")  # as Mailsac's clients have it
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def raw_secret() -> str:
    """The first secret of POST /inbound/raw, in the variable of which the service reads it; "" = it is not known."""
    return os.environ.get("RELAY_RAW_SECRET", "").partition(",")[0].strip()
