"""The APIs of providers that are fetched from, on the loopback: an HTTPS server with their names behind a proxy.

A service reaches it as it would any proxy, by ``HTTPS_PROXY``, and believes its certificate by ``SSL_CERT_FILE``:
nothing in the service knows of tests, and whatever else it asked for would come here as well.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

BREVO = "api.brevo.com"
RESEND = "api.resend.com"
RESEND_CDN = "inbound-cdn.resend.com"
MAILGUN = "storage-us-east4.api.mailgun.net"
HOSTS = (BREVO, RESEND, RESEND_CDN, MAILGUN)
_END = "Connection: close\r\n\r\n"


@dataclass(frozen=True)
class Asked:
    """One request."""

    host: str
    target: str
    headers: Mapping[str, str]  # names in lower case


@dataclass
class Providers:
    """What they answer by URL without scheme, one answer after the other, the last for ever; what they were asked."""

    answers: dict[str, list[bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)  # host:port, of every connection
    came: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)  # an answer waits for it while it is not set
    environment: dict[str, str] = field(default_factory=dict)

    def answer(self, url: str, *answers: bytes) -> None:
        """``url`` without ``https://``."""
        self.answers[url] = list(answers)

    def urls(self) -> list[str]:
        """What was asked, without ``https://``."""
        return [one.host + one.target for one in self.asked]

    async def until_asked(self, times: int) -> None:
        """Returns when so many requests have come."""
        while len(self.asked) < times:
            self.came.clear()
            await self.came.wait()

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext
    ) -> None:
        """One connection: CONNECT, TLS, a request."""
        with suppress(OSError, EOFError):  # who asked may be killed
            host = (await _head(reader)).split(" ")[1]
            self.connected.append(host)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.start_tls(context)
            first, *lines = (await _head(reader)).strip().split("\r\n")
            pairs = (line.partition(": ") for line in lines)
            asked = Asked(
                host.removesuffix(":443"), first.split(" ")[1], {name.lower(): value for name, _, value in pairs}
            )
            self.asked.append(asked)
            self.came.set()
            await self.go_on.wait()
            queue = self.answers.get(asked.host + asked.target, [answer(b"", "404 Not Found")])
            writer.write(queue.pop(0) if len(queue) > 1 else queue[0])
            await writer.drain()
        with suppress(OSError):
            writer.close()


async def _head(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n" + _END).encode() + body


@cache
def _key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


def _certificate(folder: Path) -> Path:
    key, now = _key(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "providers of a test")])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1)
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
    chain = folder / "providers.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain.write_bytes(private + builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return chain


@asynccontextmanager
async def providers(folder: Path) -> AsyncIterator[Providers]:
    """Running; ``environment`` is what a service needs to come here."""
    chain = _certificate(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    found = Providers()
    found.go_on.set()
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(found.serve(reader, writer, context))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    found.environment = {"HTTPS_PROXY": proxy, "SSL_CERT_FILE": str(chain), "NO_PROXY": ""}
    try:
        yield found
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
