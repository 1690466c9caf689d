"""A customer's OAuth server: its tokens, and its keys on a real HTTPS server on the loopback."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import get_default_algorithms

from relay.inbound.proof.oauth import TokenServer
from tests.inbound.posts import NOW

ISSUER = "https://login.example.com/"
AUDIENCE = "https://relay.example.com"
SUBJECT = "sendgrid@clients"
URL = "https://login.example.com/jwks"
SERVER = TokenServer(URL, ISSUER, AUDIENCE, SUBJECT)
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def key(algorithm: str = "RS256", number: int = 1) -> PrivateKey:
    """One of the server's; another number, another key."""
    return _key("RS256" if algorithm[:2] in ("RS", "PS") else algorithm, number)


@cache  # an RSA key takes longer than most tests
def _key(algorithm: str, number: int) -> PrivateKey:
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    if algorithm in curves:
        return ec.derive_private_key(20_261_121 + number, curves[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    return rsa.generate_private_key(65537, 2048)


def jwk(private: PrivateKey, algorithm: str = "RS256", **more: Any) -> dict[str, Any]:
    """The public half, as a JWKS lists it; ``more`` members, None = without it."""
    known = get_default_algorithms()[algorithm].to_jwk(private.public_key(), as_dict=True)
    listed = {**known, "kid": "1", "use": "sig", "alg": algorithm, **more}
    return {name: value for name, value in listed.items() if value is not None}


def key_set(*keys: dict[str, Any]) -> bytes:
    """The document; one RS256 key "1" when none is given."""
    return json.dumps({"keys": keys or [jwk(key())]}).encode()


def token(
    private: Any = None, algorithm: str = "RS256", *, kid: str | None = "1", now: datetime = NOW, **claims: Any
) -> str:
    """As the server makes it; a claim that is None is left out."""
    seconds = int(now.timestamp())
    fixed = {"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": seconds, "exp": seconds + 3600}
    said = {name: value for name, value in {**fixed, **claims}.items() if value is not None}
    signing = key(algorithm) if private is None else private
    return jwt.encode(said, signing, algorithm, headers={"kid": kid} if kid is not None else None)


@dataclass
class KeyServer:
    """What it answers, and how often it was asked. While ``open`` is not set it answers nobody."""

    url: str = ""
    status: str = "200 OK"
    body: bytes = b""
    asked: int = 0
    first: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /jwks HTTP/1.1\r\n")
        self.asked += 1
        self.first.set()
        await self.open.wait()
        head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + self.body)
        writer.close()


@asynccontextmanager
async def key_server(folder: Path) -> AsyncIterator[tuple[KeyServer, Path]]:
    """The server, and the certificate that a client must trust."""
    certificate = _certificate(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = KeyServer(body=key_set())
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context) as listening:
        server.url = f"https://localhost:{listening.sockets[0].getsockname()[1]}/jwks"
        yield server, certificate


def _certificate(folder: Path) -> Path:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, private.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1)
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    path = folder / "token-server.pem"
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + builder.sign(private, SHA256()).public_bytes(Encoding.PEM))
    return path
