"""Servers that are no relay, or not at their best: what the listener makes of them."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from relay.cli import exits
from tests.cli.command import Running, run
from tests.cli.service import ADDRESS, KEY


@contextmanager
def server(handler: Any, **options: Any) -> Iterator[str]:
    """The authority of a WebSocket server in a thread."""
    with serve(handler, "127.0.0.1", 0, **options) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{running.socket.getsockname()[1]}"
        finally:
            running.shutdown()
            thread.join()


def test_what_is_no_message_is_told_and_what_breaks_is_mended() -> None:
    denied = threading.Event()

    def deny_once(connection: ServerConnection, _request: Request) -> Response | None:
        if denied.is_set():
            return None
        denied.set()
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Redis is away\nand more")

    connections: list[ServerConnection] = []

    def handler(connection: ServerConnection) -> None:
        connections.append(connection)
        connection.send(
            '{"status": 200, "msg": "Listening", "addresses": ["a@x.test"], "domains": ["b.test", "c.test"]}'
        )
        connection.send("no JSON")
        connection.send('{"status": 206, "msg": "Gap", "inbox": "a@x.test"}')
        connection.send(b'{"_id": "1", "received": "never", "from": []}')
        if len(connections) == 1:
            connection.socket.close()
        else:
            connection.recv()  # until the client leaves

    with (
        server(handler, process_request=deny_once) as authority,
        Running(
            "listen", f"ws://{authority}", "--addresses", ADDRESS, "--count", "2", MAILSAC_KEY=KEY
        ) as listening,
    ):
        assert listening.ended() == exits.DONE
    assert listening.out.lines == ["--:--:--  (no sender) →   (no subject)"] * 2
    told = listening.err.lines
    assert told[0].startswith(f"relay: ws://{authority}/incoming-messages answers 503: Redis is away; connecting")
    assert told[1:4] == [
        f"relay: connected to ws://{authority}/incoming-messages; listening to 1 address and 2 domains",
        'relay: the server says: {"unreadable_bytes":7}',
        'relay: the server says: {"status":206,"msg":"Gap","inbox":"a@x.test"}',
    ]
    assert told[4].startswith("relay: the connection broke; connecting again in ")


def test_a_certificate_that_is_not_trusted_ends_it(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    with server(ServerConnection.close, ssl=context) as authority:
        ended = run("listen", f"wss://{authority}", "--addresses", ADDRESS, MAILSAC_KEY=KEY)
    assert ended.returncode == exits.FAILED
    assert "the certificate is not trusted: self-signed certificate" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def self_signed(folder: Path) -> Path:
    """A file with a new key and a certificate for it that nobody else signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "server.pem"
    path.write_bytes(private + certificate.public_bytes(encoding))
    return path
