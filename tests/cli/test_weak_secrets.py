"""A secret that is none is told at the start, and never shown."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command import Running

_KEYS = '[[accounts]]\nid = "user1"\nkeys = ["short-key", "a-long-random-key", "long-enough-key-0123456789"]\n'


def _said(folder: Path, *, mode: int, **settings: str) -> tuple[list[tuple[str, str]], str]:
    """Where a start finds weak ones, and why they are weak; and all that it logged."""
    accounts = folder / "accounts.toml"
    accounts.write_text(_KEYS)
    accounts.chmod(mode)
    with Running("serve", "--port", "0", "--accounts-file", str(accounts), **settings) as service:
        service.event("service.started")
        assert service.stop() == 0
        events = [json.loads(line) for line in service.err.lines]
    return [
        (one["where"], one["reason"]) for one in events if one["event"].startswith("secret.")
    ], service.err.text


def test_weak_secrets_are_told_and_not_shown(tmp_path: Path) -> None:
    settings = {
        "RELAY_RAW_SECRET": "fifteen-letters,sixteen-letters!",
        "RELAY_MAILGUN_SECRET": "change-me",
        "RELAY_SES_SECRET": "arn:aws:sns:x:1:y",
    }
    said, text = _said(tmp_path, mode=0o644, **settings)
    assert said == [
        ("RELAY_RAW_SECRET", "it has fewer than 16 characters"),
        ("RELAY_MAILGUN_SECRET", "it stands in the documents of relay"),
        ("RELAY_ACCOUNTS_FILE", "everybody here may read it"),
        ("accounts[0].keys[0]", "it has fewer than 16 characters"),
        ("accounts[0].keys[1]", "it stands in the documents of relay"),
    ]
    assert "fifteen" not in text
    assert "short-key" not in text


def test_a_file_that_is_closed_to_others_is_not_spoken_of(tmp_path: Path) -> None:
    said, _ = _said(tmp_path, mode=0o640)
    assert {where for where, _ in said} == {"accounts[0].keys[0]", "accounts[0].keys[1]"}
