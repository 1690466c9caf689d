"""relay itself, as its users run it: ``relay serve`` on a real Redis, entered by HTTP and WebSocket only.

Two processes share the Redis where delivery is measured: one takes the mail in (:attr:`Relays.door_in`), the other
has the sockets (:attr:`Relays.door_out`), as pods do: so delivering is not mixed with taking in.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.child import Broken, Child, Lab, free_port
from bench.mail import Mail, plain_mail
from bench.wire import upgrade

KEY = "key-of-the-bench"
_SECRET = "secret-of-the-bench"  # noqa: S105  # of a service that lives for a minute on the loopback
_DOMAIN = "mail.test"
_READY_SECONDS = 120.0
_KEEP_ALIVE_SECONDS = 2.0  # uvicorn closes a connection that had nothing to do for 5 s
TO_ALL = f"all@{_DOMAIN}"  # the address that all sockets of a fan-out listen to
ACCEPTED = '"accepted":[{'
HEAD = (
    "POST /inbound/raw HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: message/rfc822\r\n"
    f"Authorization: Bearer {_SECRET}\r\n"
)

# What is not the default, and why; printed in the report.
SETTINGS = {
    "RELAY_MAX_SOCKETS_PER_ACCOUNT": "20000",  # all sockets are of one account
    "RELAY_PING_SECONDS": "3600",  # no heartbeat while a cost is measured; the yardsticks have none either
    "RELAY_KEEP_MESSAGES": "50",  # Redis must hold 700 KB mails
    "RELAY_DRAIN_SECONDS": "0",
}


def inbox(index: int) -> str:
    """The address of one socket's own."""
    return f"a{index:05d}@{_DOMAIN}"


def listen(addresses: str, *, deflate: bool = False) -> str:
    """The opening handshake of a listener; "{index}" in it is the socket's number, five digits."""
    return upgrade(f"/incoming-messages?key={KEY}&addresses={addresses}", deflate=deflate)


LISTEN_TO_OWN = listen(f"a{{index}}@{_DOMAIN}")
LISTEN_TO_ALL = listen(TO_ALL)


@dataclass
class Relay:
    """One process."""

    child: Child
    port: int

    @property
    def pid(self) -> int:
        return self.child.pid


@dataclass
class Relays:
    """One or two relay processes on one Redis, with accounts for ``addresses`` sockets of their own."""

    lab: Lab
    addresses: int = 0
    doors: int = 2
    relays: list[Relay] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.redis = self.lab.redis()
        self._accounts = self.lab.folder / "accounts.toml"
        self._accounts.write_text(_accounts_toml([TO_ALL, *map(inbox, range(self.addresses))]))
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
        port = port or free_port()
        argv = [sys.executable, "-m", "relay.cli", "serve", "--port", str(port)]
        argv += ["--accounts-file", str(self._accounts)] if accounts else []
        env = {"RELAY_REDIS_URL": self.redis.url, "RELAY_RAW_SECRET": _SECRET, "RELAY_DOMAINS": _DOMAIN}
        relay = Relay(self.lab.start("relay", argv, {**SETTINGS, **env}), port)
        relay.child.ready_on(port)
        if until_ready:
            _until_ready(relay)
        self.relays.append(relay)
        return relay


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


def _until_ready(relay: Relay) -> None:
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
