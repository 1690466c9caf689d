"""A service in a process of its own, whose memory and files are its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tests.cli.command import RELAY, Running
from tests.harness import ACCOUNTS_TOML, SECRET


class Served(Running):
    """Listens, with its accounts loaded, when the constructor returns."""

    def __init__(self, redis_url: str, folder: Path, wrapper: Sequence[str], **settings: str) -> None:
        accounts = folder / "accounts.toml"
        accounts.write_text(ACCOUNTS_TOML)
        flags = ("serve", "--port", "0", "--accounts-file", str(accounts))
        known = {"RELAY_REDIS_URL": redis_url, "RELAY_RAW_SECRET": SECRET, "RELAY_DOMAINS": "mailsac.com"}
        command = (*wrapper, *RELAY)
        super().__init__(*command[1:], *flags, program=command[0], **known, **settings)
        self.url = str(self.event("service.listening")["url"])
        self.port = urlsplit(self.url).port or 0
        self.event("bus.connected")

    @property
    def pid(self) -> int:
        """Of the service itself: a wrapper has become it."""
        return self._process.pid


def served(redis_url: str, folder: Path, *, wrapper: Sequence[str] = (), **settings: str) -> Served:
    """A running service; ``wrapper``: a command in whose place it comes."""
    return Served(redis_url, folder, wrapper, **settings)
