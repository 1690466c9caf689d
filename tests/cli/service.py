"""A service for the tests of the command: `relay serve` on a real Redis, with two accounts from a file."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import httpx2

from tests.cli.command import Running

KEY = "key-of-user1-0123456789"
OTHER_KEY = "key-of-user2-0123456789"
SECRET = "secret-of-raw-0123456789"
ADDRESS = "user1@mailsac.com"
QUIET_ADDRESS = "quiet@mailsac.com"  # forwarding off
OTHER_ADDRESS = "user2@mailsac.com"
MAIL = "From: Ann <ann@sender.test>\r\nTo: user1@mailsac.com\r\nSubject: %s\r\n\r\nThe text of the mail.\r\n"

_ACCOUNTS = f"""
[[accounts]]
id = "user1"
keys = ["{KEY}"]
addresses = [
    {{ address = "{ADDRESS}", enablews = true }},
    {{ address = "{QUIET_ADDRESS}", enablews = false }},
]

[[accounts]]
id = "user2"
keys = ["{OTHER_KEY}"]
addresses = [{{ address = "{OTHER_ADDRESS}", enablews = true }}]
"""


class Service(Running):
    """Listens, with its accounts loaded, when the constructor returns."""

    def __init__(self, redis_url: str, folder: Path, *flags: str, **settings: str) -> None:
        accounts = folder / "accounts.toml"
        accounts.write_text(_ACCOUNTS)
        self.settings = {
            "RELAY_REDIS_URL": redis_url,
            "RELAY_RAW_SECRET": SECRET,
            "RELAY_DOMAINS": "mailsac.com",
            "RELAY_DRAIN_SECONDS": "1",
        } | settings
        super().__init__("serve", "--port", "0", "--accounts-file", str(accounts), *flags, **self.settings)
        self.url = str(self.event("service.listening")["url"])
        self.event("service.started")
        self.event("bus.connected")  # the accounts are loaded before

    def post(self, subject: str) -> str:
        """Posts a mail for ADDRESS, without the command; its ``_id``."""
        return self.post_with(SECRET, subject)

    def post_with(self, secret: str, subject: str) -> str:
        """As :meth:`post`, when the secret is another one."""
        anew = {"webhook-id": uuid4().hex}  # although the same bytes may have been posted before
        headers = {"authorization": f"Bearer {secret}", "x-envelope-to": ADDRESS, **anew}
        # Loading certificates for TLS that is not used would take longer than the rest.
        with httpx2.Client(verify=False, trust_env=False) as http:
            answer = http.post(f"{self.url}/inbound/raw", content=(MAIL % subject).encode(), headers=headers)
        return str(answer.json()["accepted"][0]["_id"])

    def listen(self, *flags: str, key: str = KEY, addresses: str = ADDRESS) -> Running:
        """A listener; it may not be connected yet."""
        arguments = ("listen", self.url.replace("http", "ws"), "--addresses", addresses, *flags)
        return Running(*arguments, MAILSAC_KEY=key)
