"""Centrifugo, in Go, with Redis as its engine: a channel keeps its newest messages, and a socket that returns recovers.

It gets the finished JSON over its HTTP API. A socket says who it is (a token) and what it listens to in its first
frame, and messages come in an envelope of Centrifugo's, several to a frame when they wait (:class:`BatchStream`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
from typing import Any

from bench import peers
from bench.child import Broken, Lab, free_port
from bench.mail import frame
from bench.posting import Door
from bench.wire import Hello, upgrade
from tests.redis_server import RedisServer

ALL = "all"
LISTEN = upgrade("/connection/websocket")
_API_KEY = "key-of-the-bench"
_TOKEN_KEY = "secret-of-the-bench"  # noqa: S105  # of a service that lives for a minute on the loopback
_KEPT_SECONDS = "168h"
_HEAD = (
    f"POST /api/publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nX-API-Key: {_API_KEY}\r\n"
)
QUEUE_BYTES = 512 << 20  # of one socket: a replay and mail of 25 MiB must fit


def missing() -> str:
    """Why it does not take part; "" = it does."""
    return "" if peers.centrifugo() else "not on PATH, and not in .peers/ (make peers)"


class Centrifugo:
    """A process with Centrifugo. Others with the same Redis are its cluster."""

    name = "Centrifugo + Redis"

    def __init__(self, lab: Lab, redis: RedisServer, *, keep: int = 1) -> None:
        """``keep``: messages of a channel."""
        self.port = free_port()
        self.redis_pid = redis.pid
        self.door = Door(self.port, _HEAD, '{"channel":"{to}","data":', "}", '"result"')
        file = lab.folder / f"centrifugo-{self.port}.json"
        file.write_text(json.dumps(_configuration(self.port, redis.port, keep)))
        self.child = lab.start("centrifugo", [peers.centrifugo(), "-c", str(file)])
        self.child.ready_on(self.port)
        self._http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    @property
    def pid(self) -> int:
        return self.child.pid

    def publish(self, frame_bytes: int, number: int) -> None:
        """One message to all sockets that listen to ALL."""
        _ask(self._http, "publish", b'{"channel":"%b","data":%b}' % (ALL.encode(), frame(frame_bytes, number)))


def epoch(port: int) -> str:
    """Of the history of ALL, which has messages. Raises Broken."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    history = _ask(connection, "history", json.dumps({"channel": ALL, "limit": 1}).encode())
    connection.close()
    return str(history["epoch"])


def _ask(connection: http.client.HTTPConnection, method: str, body: bytes) -> dict[str, Any]:
    """One call of its HTTP API. Raises Broken."""
    headers = {"X-API-Key": _API_KEY, "Content-Type": "application/json"}
    connection.request("POST", f"/api/{method}", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200 or "result" not in (said := json.loads(text)):
        raise Broken(f"Centrifugo answered {answer.status} {text[:200]!r}")
    result: dict[str, Any] = said["result"]
    return result


def hello(channel: str, *, since: str = "") -> Hello:
    """A client's first frame. "{index}" may be in ``channel``. ``since``: the epoch, to get all that is kept."""
    subscribe: dict[str, Any] = {"channel": channel}
    if since:
        subscribe |= {"recover": True, "epoch": since, "offset": 0}
    commands = ({"id": 1, "connect": {"token": _token()}}, {"id": 2, "subscribe": subscribe})
    return Hello("\n".join(json.dumps(command) for command in commands), '"id":2')


def _configuration(port: int, redis_port: int, keep: int) -> dict[str, Any]:
    channel = {
        "allow_subscribe_for_client": True,
        "history_size": keep,
        "history_ttl": _KEPT_SECONDS,
        "force_recovery": True,
    }
    return {
        "http_server": {"address": "127.0.0.1", "port": port},
        "http_api": {"key": _API_KEY},
        "client": {
            "token": {"hmac_secret_key": _TOKEN_KEY},
            "allowed_origins": ["*"],
            "ping_interval": "3600s",  # no heartbeat while a cost is measured, as everywhere here
            "pong_timeout": "3000s",
            "connection_limit": 0,
            "queue_max_size": QUEUE_BYTES,
            "recovery_max_publication_limit": 10_000,
        },
        "channel": {"without_namespace": channel},
        "engine": {"type": "redis", "redis": {"address": f"127.0.0.1:{redis_port}"}},
        "log": {"level": "error"},
        "shutdown": {"timeout": "1s"},
    }


def _token() -> str:
    """A JSON Web Token (RFC 7519), signed by HS256."""
    head = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part({'sub': 'bench'})}"
    signature = hmac.new(_TOKEN_KEY.encode(), head.encode(), hashlib.sha256).digest()
    return f"{head}.{_base64url(signature)}"


def _part(claims: dict[str, str]) -> str:
    return _base64url(json.dumps(claims).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
