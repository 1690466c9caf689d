"""What is fetched, from a real HTTPS server on the loopback in the place of Amazon's; and what is never asked for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from relay.builders.ses import CERTIFICATE_URL, TOPIC, build
from relay.inbound.fetching.document_cache import Fetcher
from relay.inbound.proof.sns import CertificateNotReady, is_amazon_sns
from relay.inbound.providers.ses import Ses
from relay.network import is_plain_https
from tests.harness import ADDRESS, MAIL
from tests.inbound.posts import post

pytestmark = pytest.mark.anyio
HOST = "sns.eu-west-1.amazonaws.com"
URL = f"https://{HOST}/a"


@cache  # it takes longer than the tests
def _key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


class Amazon:
    """An HTTPS server with Amazon's name; what it was asked, and what it answers by path."""

    def __init__(self, folder: Path) -> None:
        key = _key()
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1)
        ).add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        self.private_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.pem = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
        self.chain = folder / "amazon.pem"
        self.chain.write_bytes(self.private_key.encode() + self.pem)
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split(" ")[1]
        assert f"host: {HOST}\r\n" in head.lower()
        self.asked.append(target)
        writer.write(self.answers.get(target, answer(b"", "404 Not Found")))
        writer.close()


class ToLoopback(httpx2.AsyncBaseTransport):
    """Connects to the server above in the place of the host, whose name TLS still checks."""

    def __init__(self, amazon: Amazon) -> None:
        context = ssl.create_default_context(cadata=amazon.pem.decode())
        self._port = amazon.port
        self._transport = httpx2.AsyncHTTPTransport(verify=context, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return await self._transport.handle_async_request(request)


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
async def amazon(tmp_path: Path) -> AsyncIterator[Amazon]:
    amazon = Amazon(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(amazon.chain)
    async with await asyncio.start_server(amazon.serve, "127.0.0.1", 0, ssl=context) as server:
        amazon.port = server.sockets[0].getsockname()[1]
        yield amazon


class Clock:
    """Seconds, by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def fetcher(amazon: Amazon, clock: Clock | None = None) -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(is_amazon_sns, transport=ToLoopback(amazon), clock=clock or Clock())
    running = asyncio.create_task(fetcher.run())
    try:
        yield fetcher
    finally:
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()


async def fetched(fetcher: Fetcher, url: str) -> bytes | None:
    assert fetcher.cached(url) is None
    await fetcher.settled(url)
    return fetcher.cached(url)


async def test_a_signed_mail_waits_for_its_certificate_and_is_then_proven(amazon: Amazon) -> None:
    amazon.answers[f"/{CERTIFICATE_URL.rpartition('/')[2]}"] = answer(amazon.pem)
    now = datetime.now(UTC)
    _, headers, body = build(MAIL, [ADDRESS], amazon.private_key, now)
    async with fetcher(amazon) as fetching:
        provider = Ses((TOPIC,), certificates=fetching.cached)
        with pytest.raises(CertificateNotReady) as wait:
            await asyncio.to_thread(
                provider.verify, post(headers, body, received=now)
            )  # as the door does for large ones
        await fetching.settled(wait.value.url)
        for _ in range(3):
            provider.verify(post(headers, body, received=now))
    assert len(amazon.asked) == 1


async def test_what_is_asked_before_the_start_is_fetched_after_it(amazon: Amazon) -> None:
    amazon.answers["/a"] = answer(b"body")
    early = Fetcher(is_amazon_sns, transport=ToLoopback(amazon))
    assert early.cached(URL) is None
    running = asyncio.create_task(early.run())
    await early.settled(URL)
    assert early.cached(URL) == b"body"
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize(
    "refused",
    [
        answer(b"", "404 Not Found"),
        answer(b"x", "206 Partial Content"),
        answer(b"", "302 Found", f"Location: https://{HOST}/b"),
        answer(b"x" * (64 * 1024 + 1)),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
async def test_what_is_no_answer_is_not_kept_and_is_tried_again_after_a_while(
    amazon: Amazon, refused: bytes
) -> None:
    clock = Clock()
    amazon.answers = {"/a": refused, "/b": answer(b"behind a redirect")}
    async with fetcher(amazon, clock) as fetching:
        assert await fetched(fetching, URL) is None
        fetching.ask(URL)
        await fetching.settled(URL)
        assert amazon.asked == ["/a"]
        clock.now += 20
        amazon.answers["/a"] = answer(b"x" * 64 * 1024)
        assert await fetched(fetching, URL) == b"x" * 64 * 1024


async def test_a_server_with_another_name_is_not_believed(amazon: Amazon) -> None:
    url = "https://sns.us-east-1.amazonaws.com/a"
    async with fetcher(amazon) as fetching:
        assert await fetched(fetching, url) is None
    assert amazon.asked == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}/a",
        f"https://{HOST}:443/a",
        f"https://user@{HOST}/a",
        f"https://{HOST}.evil.example/a",
        f"https://{HOST}\\@evil.example/a",
        f"https://{HOST}/a#b",
        f"https://{HOST.upper()}/a",
        "https://sns.s3-us-west-2.amazonaws.com/a",
        "https://sns.eu-west-1.amazonaws.com.cn.evil.example/a",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/a",
        "https://[::1]/a",
        "https://[/a",
        "https:///a",
        "",
        "é",
    ],
)
async def test_no_other_url_is_ever_asked(amazon: Amazon, url: str) -> None:
    assert not (is_plain_https(url) and is_amazon_sns(url))
    async with fetcher(amazon) as fetching:
        fetching.ask(url, tries=3)
        assert await fetched(fetching, url) is None
    assert amazon.asked == []


async def test_only_so_much_is_under_way(amazon: Amazon) -> None:
    amazon.answers = {f"/{number}": answer(b"x") for number in range(40)}
    urls = [f"https://{HOST}/{number}" for number in range(40)]
    async with fetcher(amazon) as fetching:
        for url in urls:
            fetching.ask(url)
        for url in urls:
            await fetching.settled(url)
        assert len(amazon.asked) == 16
        for url in urls:
            fetching.ask(url)
            await fetching.settled(url)
        assert sum(fetching.cached(url) is not None for url in urls) == 32  # the oldest have gone
