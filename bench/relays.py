"""relay itself, as its users run it: ``relay serve`` on a real Redis, entered by HTTP and WebSocket only.

Two processes share the Redis where delivery is measured: one takes the mail in (:attr:`Relays.door_in`), the other
has the sockets (:attr:`Relays.door_out`), as pods do: so delivering is not mixed with taking in.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.child import Broken, Child, Lab, free_port
from bench.mail import Mail, plain_mail
from bench.posting import Door
from bench.wire import upgrade

KEY = "key-of-the-bench"
_SECRET = "secret-of-the-bench"  # noqa: S105  # of a service that lives for a minute on the loopback
_DOMAIN = "mail.test"
_READY_SECONDS = 120.0
_KEEP_ALIVE_SECONDS = 2.0  # uvicorn closes a connection that had nothing to do for 5 s
INBOX = f"a{{index}}@{_DOMAIN}"  # of one socket's own; "{index}" is its number, five digits
TO_ALL = f"all@{_DOMAIN}"  # the address that all sockets of a fan-out listen to
_HEAD = (
    "POST /inbound/raw HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: message/rfc822\r\n"
    f"Authorization: Bearer {_SECRET}\r\nX-Envelope-To: {{to}}\r\n"
)
_ACCEPTED = '"accepted":[{'

# What is not the default, and why; printed in the report.
SETTINGS = {
    "RELAY_MAX_SOCKETS_PER_ACCOUNT": "20000",  # all sockets are of one account
    "RELAY_PING_SECONDS": "3600",  # no heartbeat while a cost is measured; the yardsticks have none either
    "RELAY_KEEP_MESSAGES": "50",  # Redis must hold 700 KB mails
    "RELAY_DRAIN_SECONDS": "0",
}


def inbox(index: int) -> str:
    """The address of one socket's own."""
    return INBOX.replace("{index}", f"{index:05d}")


def path_to_listen(addresses: str) -> str:
    """Where a WebSocket for these is opened."""
    return f"/incoming-messages?key={KEY}&addresses={addresses}"


def listen(addresses: str, *, deflate: bool = False, since: str = "") -> str:
    """The opening handshake of a listener; "{index}" in it is the socket's number, five digits."""
    return upgrade(path_to_listen(addresses) + (f"&since={since}" if since else ""), deflate=deflate)


LISTEN_TO_OWN = listen(INBOX)
LISTEN_TO_ALL = listen(TO_ALL)


@dataclass
class Relay:
    """One process."""

    child: Child
    port: int

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def door(self) -> Door:
        """Where mail is posted; 200 means that Redis has it."""
        return Door(self.port, _HEAD, expect=_ACCEPTED)


@dataclass
class Relays:
    """One or two relay processes on one Redis, with accounts for ``addresses`` sockets of their own.

    ``settings`` are beside SETTINGS, and go before them.
    """

    lab: Lab
    addresses: int = 0
    doors: int = 2
    settings: Mapping[str, str] = field(default_factory=dict)
    relays: list[Relay] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.redis = self.lab.redis()
        self._accounts = write_accounts(self.lab, self.addresses)
        self.start(accounts=True)
        for _ in range(self.doors - 1):
            self.start()

    @property
    def door_in(self) -> Relay:
        """The process that mail is posted to."""
        return self.relays[0]

    @property
    def door_out(self) -> Relay:
        """The process that has the sockets."""
        return self.relays[-1]

    def start(self, *, accounts: bool = False, port: int = 0, until_ready: bool = True) -> Relay:
        """One more process; returns when it accepts connections, or says that it is ready."""
        settings = {"RELAY_REDIS_URL": self.redis.url, **self.settings}
        relay = start(self.lab, self._accounts if accounts else None, settings, port=port)
        if until_ready:
            wait_until_ready(relay)
        self.relays.append(relay)
        return relay


def start(lab: Lab, accounts: Path | None, settings: Mapping[str, str], *, port: int = 0) -> Relay:
    """``relay serve``, by itself; returns when it accepts connections. Without RELAY_REDIS_URL it is memory://."""
    relay = spawn(lab, accounts, settings, port=port)
    relay.child.ready_on(relay.port)
    return relay


def spawn(lab: Lab, accounts: Path | None, settings: Mapping[str, str], *, port: int = 0) -> Relay:
    """:func:`start`, and waits for nothing."""
    port = port or free_port()
    argv = [sys.executable, "-m", "relay.cli", "serve", "--port", str(port)]
    argv += ["--accounts-file", str(accounts)] if accounts else []
    own = {"RELAY_RAW_SECRET": _SECRET, "RELAY_DOMAINS": _DOMAIN}
    return Relay(lab.start("relay", argv, {**SETTINGS, **own, **settings}), port)


def write_accounts(lab: Lab, addresses: int) -> Path:
    """An accounts file with ``TO_ALL`` and so many addresses of sockets' own."""
    path = lab.folder / f"accounts-{addresses}.toml"
    path.write_text(_accounts_toml([TO_ALL, *map(inbox, range(addresses))]))
    return path


class Poster:
    """Posts one mail after the other to a relay, over one connection of this process."""

    def __init__(self, relay: Relay) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=30)
        self._used = 0.0
        self._headers = {"Authorization": f"Bearer {_SECRET}", "Content-Type": "message/rfc822"}

    def post(self, mail: bytes, to: str = TO_ALL) -> None:
        """Raises Broken when the mail was not accepted."""
        if time.monotonic() - self._used > _KEEP_ALIVE_SECONDS:
            self._http.close()  # the service may be about to close it; a request would be lost
        self._http.request("POST", "/inbound/raw", mail, {**self._headers, "X-Envelope-To": to})
        answer = self._http.getresponse()
        body = answer.read()
        self._used = time.monotonic()
        if answer.status != 200 or not json.loads(body)["accepted"]:
            raise Broken(f"relay answered {answer.status} {body[:200]!r}")


def mail_for_frame(frame_bytes: int, overhead_bytes: int) -> Mail:
    """A mail whose frame has that size, when the one of an empty mail has ``overhead_bytes``."""
    if frame_bytes < overhead_bytes:
        raise Broken(f"no mail fits into {frame_bytes} bytes: an empty one takes {overhead_bytes}")
    # "size" in the frame counts the bytes too: one digit more for each power of ten.
    empty = len(plain_mail(0))
    digits = len(str(empty + frame_bytes - overhead_bytes)) - len(str(empty))
    return plain_mail(frame_bytes - overhead_bytes - digits)


def wait_until_ready(relay: Relay) -> None:
    """Returns when it says so. Raises Broken."""
    deadline = time.monotonic() + _READY_SECONDS
    status = 0
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=10)
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
        connection.close()
        if status == 200:
            return
        time.sleep(0.05)
    raise Broken(f"relay is not ready ({status}): {relay.child.last_words()}")


def _accounts_toml(addresses: Iterable[str]) -> str:
    rows = ",\n".join(f'  {{ address = "{address}", enablews = true }}' for address in addresses)
    return f'[[accounts]]\nid = "bench"\nkeys = ["{KEY}"]\naddresses = [\n{rows}\n]\n'
