"""What ``relay demo`` shows: the URL and the commands to copy, and a first mail from door to door."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import httpx2
import orjson
from rich.console import Console
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from relay.accounts import Accounts
from relay.accounts.reservation import Change
from relay.cli.console import for_people
from relay.errors import RelayError, Unavailable
from relay.network import reason_of

ACCOUNT = "demo"
DOMAIN = "demo.test"  # RFC 2606: nobody's, for ever
ADDRESS = f"you@{DOMAIN}"
_ARRIVES_SECONDS = 10.0
_SHOWN_OF_RAW = 120  # characters


@dataclass(frozen=True, slots=True)
class Walkthrough:
    """One demo service, as its user sees it. ``authority`` is host:port."""

    authority: str
    key: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def page(self) -> str:
        """The test page."""
        return f"http://{self.authority}/"

    @property
    def socket_url(self) -> str:
        """As the Node example of Mailsac's documentation makes it."""
        return f"ws://{self.authority}/incoming-messages?_id={ACCOUNT}&key={self.key}&addresses={ADDRESS}"

    @property
    def curl(self) -> str:
        """Sends a mail; one line, for any POSIX shell."""
        mail = rf"From: me@example.org\r\nTo: {ADDRESS}\r\nSubject: Hello at %s\r\n\r\nIt works.\r\n"
        return (  # the time, because the very same bytes again would be taken for a retry
            f"printf '{mail}' \"$(date +%T)\" | curl -sS -w '\\n' --data-binary @- -H 'Content-Type: message/rfc822'"
            f" -H 'Authorization: Bearer {self.secret}' -H 'X-Envelope-To: {ADDRESS}'"
            f" http://{self.authority}/inbound/raw"
        )

    @property
    def listen(self) -> str:
        """Prints what arrives."""
        whom = f"--account {ACCOUNT} --key {self.key} --addresses {ADDRESS}"
        return f"{_command()} listen http://{self.authority} {whom}"

    def print(self) -> None:
        """Plainly, each on a line of its own: to be copied."""
        for text, line in (
            ("See mail arrive, in a browser:", self.page),
            ("The API key to paste there (account, key and address are made for this demo):", self.key),
            ("The WebSocket, for any client:", self.socket_url),
            ("Send a mail:", self.curl),
            ("Print mail as it arrives:", self.listen),
        ):
            print(f"{text}\n\n{line}\n", flush=True)

    async def send_one(self) -> dict[str, Any]:
        """Sends a mail by HTTP; what a WebSocket then gets. Raises Unavailable."""
        try:
            async with asyncio.timeout(_ARRIVES_SECONDS), connect(self.socket_url, proxy=None) as socket:
                await self._post(_sample())
                message: dict[str, Any] = orjson.loads(await socket.recv())
        except TimeoutError as error:
            raise Unavailable(f"the first mail did not arrive within {_ARRIVES_SECONDS:g} s") from error
        except (OSError, WebSocketException, httpx2.HTTPError) as error:
            raise Unavailable(f"the first mail did not arrive: {reason_of(error)}") from error
        if "_id" not in message:
            raise Unavailable(f"the socket got no mail, but: {message.get('error', message)}")
        return message

    async def _post(self, mail: bytes) -> None:
        headers = {
            "content-type": "message/rfc822",
            "authorization": f"Bearer {self.secret}",
            "x-envelope-to": ADDRESS,
        }
        async with httpx2.AsyncClient(trust_env=False) as client:
            response = await client.post(f"http://{self.authority}/inbound/raw", content=mail, headers=headers)
        if response.status_code != 200 or response.json()["rejected"]:
            raise Unavailable(f"the first mail was answered {response.status_code}: {response.text}")


async def furnish(accounts: Accounts, authority: str, secret: str) -> Walkthrough:
    """Makes the account, its key and its address."""
    await accounts.accounts.create(ACCOUNT)
    new = await accounts.keys.add(ACCOUNT, label="demo")
    await accounts.addresses.reserve(ACCOUNT, ADDRESS, Change(enablews=True))
    if new.key is None:
        raise RelayError("no key was made")
    return Walkthrough(authority, new.key, secret)


def show(message: dict[str, Any]) -> None:
    """The message as JSON; for people with the beginning of ``raw`` only."""
    raw = str(message["raw"])
    if for_people() and len(raw) > _SHOWN_OF_RAW:
        message = message | {"raw": f"{raw[:_SHOWN_OF_RAW]}… ({len(raw)} characters)"}
    print("A mail was posted, and this is what the WebSocket got:\n", flush=True)
    Console(soft_wrap=True).print_json(orjson.dumps(message).decode())


def _sample() -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = "Relay Demo <demo@example.org>"
    mail["To"] = ADDRESS
    mail["Subject"] = "Your first mail"
    mail["Message-ID"] = "<first@example.org>"
    mail.set_content("It was posted over HTTP, and reached you over a WebSocket.\n")
    mail.add_alternative(
        "<p>It was posted over <b>HTTP</b>, and reached you over a <b>WebSocket</b>.</p>\n", subtype="html"
    )
    return mail.as_bytes()


def _command() -> str:
    """How this command was called, so that the printed lines work in the same shell."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m relay.cli"
    found = shutil.which("relay")
    if found and called.exists() and os.path.samefile(found, called):
        return "relay"
    return shlex.quote(str(called))
