"""The opening handshake by hand: RFC 6455 section 4.2, RFC 7692 section 7.1, and what no client library would send."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from relay.stream.handshake_batcher import HandshakeBatcher
from tests import harness
from tests.harness import ADDRESS, KEY, Relay
from tests.stream.test_ends import frame, frames_from

pytestmark = pytest.mark.anyio

# The key and its answer of RFC 6455 section 1.3.
SOCKET_KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
VERSION = "Sec-WebSocket-Version: 13"
UPGRADE = "Upgrade: websocket"
CONNECTION = "Connection: Upgrade"
TARGET = f"/incoming-messages?key={KEY}&addresses={ADDRESS}"
GET = f"GET {TARGET} HTTP/1.1"
GOOD = (UPGRADE, CONNECTION, SOCKET_KEY, VERSION)


@pytest.fixture(scope="module")
async def relay(tmp_path_factory: pytest.TempPathFactory, anyio_backend: Any) -> AsyncIterator[Relay]:
    """One for all cases: each of them has a connection of its own."""
    folder = tmp_path_factory.mktemp("relay")
    async with harness.relay("memory://", folder, max_refusals_per_minute=100_000) as running:
        yield running


@dataclass
class Answer:
    """Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, status, _ = head[0].split(" ", 2)
        assert version == "HTTP/1.1"
        pairs = [line.split(": ", 1) for line in head[1:] if line]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len({name for name, _ in pairs}), head
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(status), headers, body)

    async def ended(self) -> bool:
        """Waits for it; whether nothing came before."""
        return await self.reader.read() == b""

    async def subject(self) -> str:
        [[opcode, payload]] = [await anext(frames_of(self.reader))]
        assert opcode == 1
        return str(json.loads(payload)["subject"])


async def frames_of(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    while True:
        first, size = await reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2))
        yield first & 0x0F, await reader.readexactly(size)


@asynccontextmanager
async def client(relay: Relay, sent: bytes) -> AsyncIterator[Client]:
    """A connection on which that has been sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port, limit=1 << 20)
    writer.write(sent)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def request(*headers: str, first: str = GET) -> bytes:
    return "\r\n".join((first, "Host: relay.test", *headers, "", "")).encode("latin-1")


OPENS = {
    "as in the RFC": GOOD,
    "upper case": tuple(header.upper().split(":")[0] + ":" + header.split(":", 1)[1] for header in GOOD),
    "WebSocket as registered": ("Upgrade: WebSocket", *GOOD[1:]),
    "several tokens": (UPGRADE, "Connection: keep-alive, Upgrade", SOCKET_KEY, VERSION),
    "tokens over lines": (UPGRADE, "Connection: upgrade", "Connection: keep-alive", SOCKET_KEY, VERSION),
    "the last of several protocols": ("Upgrade: h2c, websocket", *GOOD[1:]),
    "no space, and one too many": (
        "Upgrade:websocket",
        CONNECTION,
        f"{SOCKET_KEY} ",
        "Sec-WebSocket-Version:\t13 ",
    ),
    "a body of no bytes": (*GOOD, "Content-Length: 0"),
    "an absolute target": GOOD,
}


@pytest.mark.parametrize("case", OPENS)
async def test_what_is_a_handshake_opens(relay: Relay, case: str) -> None:
    first = f"GET ws://relay.test{TARGET} HTTP/1.1" if "absolute" in case else GET
    async with client(relay, request(*OPENS[case], first=first)) as one:
        answer = await one.answer()
        assert (answer.status, answer.headers) == (
            101,
            {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": ACCEPT},
        )
        await relay.send("open")
        assert await one.subject() == "open"


BAD = {
    "no version": ((UPGRADE, CONNECTION, SOCKET_KEY), 426),
    "an old version": ((UPGRADE, CONNECTION, SOCKET_KEY, "Sec-WebSocket-Version: 8"), 426),
    "several versions": ((*GOOD, "Sec-WebSocket-Version: 8"), 426),
    "no key": ((UPGRADE, CONNECTION, VERSION), 400),
    "two keys": ((*GOOD, SOCKET_KEY), 400),
    "a short key": ((UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"), 400),
    "a key that is no base64": (
        (UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: !GhlIHNhbXBsZSBub25jZQ=="),
        400,
    ),
    "an empty key": ((UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key:"), 400),
    "a body": ((*GOOD, "Content-Length: 5"), 400),
    "a chunked body": ((*GOOD, "Transfer-Encoding: chunked"), 400),
    "an extension that is none": ((*GOOD, "Sec-WebSocket-Extensions: permessage-deflate; ="), 400),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_is_a_bad_handshake_is_told_why_and_ends(relay: Relay, case: str) -> None:
    headers, status = BAD[case]
    async with client(relay, request(*headers) + b"what follows") as one:
        answer = await one.answer()
        assert answer.status == status
        assert answer.headers["connection"] == "close"
        assert "date" in answer.headers
        assert answer.headers.get("sec-websocket-version") == ("13" if status == 426 else None)
        assert answer.body.endswith(b"\n")
        assert KEY.encode() not in answer.body
        assert await one.ended()


PLAIN = {
    "no token upgrade": ((UPGRADE, "Connection: keep-alive", SOCKET_KEY, VERSION), GET, 426),
    "no Connection": ((UPGRADE, SOCKET_KEY, VERSION), GET, 426),
    "no Upgrade": ((CONNECTION, SOCKET_KEY, VERSION), GET, 426),
    "another protocol": (("Upgrade: h2c", CONNECTION), GET, 426),
    "HTTP/1.0": (GOOD, f"GET {TARGET} HTTP/1.0", 426),
    "POST": ((*GOOD, "Content-Length: 0"), f"POST {TARGET} HTTP/1.1", 405),
    "no target": (GOOD, "GET * HTTP/1.1", 403),
    "bytes in the target": (GOOD, "GET /caf\xe9 HTTP/1.1", 400),
}


@pytest.mark.parametrize("case", PLAIN)
async def test_what_is_no_handshake_is_answered_as_plain_http(relay: Relay, case: str) -> None:
    headers, first, status = PLAIN[case]
    async with client(relay, request(*headers, first=first)) as one:
        assert (await one.answer()).status == status


async def test_an_ignored_upgrade_does_not_end_the_connection(relay: Relay) -> None:
    """As HTTP clients send it that would like to speak HTTP/2."""
    async with client(relay, request("Connection: Upgrade", "Upgrade: h2c", first="GET /nowhere HTTP/1.1")) as one:
        assert (await one.answer()).status == 404
        one.writer.write(request(*GOOD))
        assert (await one.answer()).status == 101


async def test_a_handshake_behind_a_request_without_an_answer_is_plain_http(relay: Relay) -> None:
    async with client(relay, request(first="GET /nowhere HTTP/1.1") + request(*GOOD)) as one:
        assert [(await one.answer()).status, (await one.answer()).status] == [404, 426]


async def test_subprotocols_may_stand_on_several_lines_and_only_ours_is_chosen(relay: Relay) -> None:
    offered = ("Sec-WebSocket-Protocol: chat, superchat", f"Sec-WebSocket-Protocol:relay.key.{KEY} ,,relay")
    async with client(
        relay, request(*GOOD, *offered, first=f"GET /incoming-messages?addresses={ADDRESS} HTTP/1.1")
    ) as one:
        assert (await one.answer()).headers["sec-websocket-protocol"] == "relay"
        await relay.send("by the key of the subprotocol")
        assert await one.subject() == "by the key of the subprotocol"


NO_TAKEOVER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
OFFERS = {
    "permessage-deflate": NO_TAKEOVER,
    "permessage-deflate; client_max_window_bits": NO_TAKEOVER,
    'permessage-deflate; client_max_window_bits="12"': NO_TAKEOVER + "; client_max_window_bits=12",
    "permessage-deflate; server_max_window_bits=10": NO_TAKEOVER + "; server_max_window_bits=10",
    "permessage-deflate; server_max_window_bits=15": NO_TAKEOVER + "; server_max_window_bits=15",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover": NO_TAKEOVER,
    "permessage-deflate; server_max_window_bits": None,
    "permessage-deflate; server_max_window_bits=7": None,
    "permessage-deflate; server_no_context_takeover=1": None,
    "permessage-deflate; client_max_window_bits; client_max_window_bits": None,
    "permessage-deflate; unknown": None,
    "x-webkit-deflate-frame": None,
    "permessage-deflate; unknown, permessage-deflate; server_max_window_bits=9, permessage-deflate": (
        NO_TAKEOVER + "; server_max_window_bits=9"
    ),
    "x-other; a=1, permessage-deflate; " + "unknown; " * 50 + "a, permessage-deflate": NO_TAKEOVER,
}


@pytest.mark.parametrize("offer", OFFERS)
async def test_compression_is_agreed_upon_or_left_out(relay: Relay, offer: str) -> None:
    for _ in range(2):  # the second time from memory
        async with client(relay, request(*GOOD, f"Sec-WebSocket-Extensions: {offer}")) as one:
            answer = await one.answer()
            assert (answer.status, answer.headers.get("sec-websocket-extensions")) == (101, OFFERS[offer])


async def test_offers_may_stand_on_several_lines(relay: Relay) -> None:
    lines = ("Sec-WebSocket-Extensions: x-other", "Sec-WebSocket-Extensions: permessage-deflate")
    async with client(relay, request(*GOOD, *lines)) as one:
        assert (await one.answer()).headers["sec-websocket-extensions"] == NO_TAKEOVER


@pytest.mark.parametrize("window_bits", [9, 15])
async def test_a_client_with_a_small_window_gets_plain_frames(relay: Relay, window_bits: int) -> None:
    offer = f"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits={window_bits}"
    async with client(relay, request(*GOOD, offer)) as one:
        await one.answer()
        await relay.post(b"Subject: long\r\n\r\n" + b"again and " * 500, ADDRESS)
        [first] = await one.reader.readexactly(1)
        assert (first == 0xC1) == (window_bits == 15)


@pytest.mark.parametrize("cut", [0, 1, 7, 20])
async def test_what_comes_behind_the_request_is_taken_when_the_socket_is_open(relay: Relay, cut: int) -> None:
    """In one segment with it, or cut anywhere between them: a ping, and a beginning of the next."""
    pings = frame(9, b"early") + frame(9, b"late")
    async with client(relay, request(*GOOD) + pings[:cut]) as one:
        assert (await one.answer()).status == 101
        one.writer.write(pings[cut:])
        frames = frames_from(one.reader)
        assert [await anext(frames), await anext(frames)] == [(10, b"early"), (10, b"late")]


async def test_who_sends_much_before_it_is_let_in_is_cut_off(relay: Relay) -> None:
    async with client(relay, request(*GOOD) + b"x" * 9000) as one:
        with contextlib.suppress(ConnectionResetError):
            assert await one.ended()


LARGE = {
    "a long line": request(first=f"GET /{'x' * 560_000} HTTP/1.1"),
    "a long header": request(f"X-Long: {'x' * 560_000}"),
    "many headers": request(*(f"X-{number}: {'x' * 100}" for number in range(5600))),
    "a long line that goes on": request(first=f"GET /{'x' * 1_200_000}")[:-4],
    "a header that goes on": request(f"X-Long: {'x' * 1_200_000}")[:-4],
}


@pytest.mark.parametrize("case", LARGE)
async def test_a_head_without_end_is_431(relay: Relay, case: str) -> None:
    async with client(relay, LARGE[case]) as one:
        with contextlib.suppress(ConnectionResetError):  # when it had more to say
            answer = await one.answer()
            assert (answer.status, answer.headers["connection"]) == (431, "close")
            assert await one.ended()


async def test_a_large_body_behind_a_request_is_not_taken_for_a_head(relay: Relay) -> None:
    body = b"Subject: large\r\n\r\n" + b"x" * 200_000
    head = f"Authorization: Bearer {harness.SECRET}", f"X-Envelope-To: {ADDRESS}", f"Content-Length: {len(body)}"
    post = request("Content-Type: message/rfc822", *head, first="POST /inbound/raw HTTP/1.1") + body
    async with client(relay, post + post[:40]) as one:
        assert (await one.answer()).status == 200
        one.writer.write(post[40:])
        assert (await one.answer()).status == 200


@pytest.mark.parametrize("key", [KEY, "guess"])
async def test_a_client_that_leaves_while_it_is_let_in_is_forgotten(relay: Relay, key: str) -> None:
    with capture_logs() as logs:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write(request(*GOOD, first=GET.replace(KEY, key)))
            writer.transport.abort()
        async with client(relay, request(*GOOD)) as one:  # it comes behind the others
            await one.answer()
            while len(relay.process.service.node.hub) > 1:
                await relay.http.get("/livez")
    assert "handshake.failed" not in {line["event"] for line in logs}


async def test_a_process_that_ends_answers_who_is_still_outside(tmp_path: Path) -> None:
    async with silent_server() as port:
        async with harness.relay(f"redis://127.0.0.1:{port}", tmp_path, until_ready=False) as relay:
            one = Client(*await asyncio.open_connection("127.0.0.1", relay.port))
            one.writer.write(request(*GOOD))
            while not len(relay.process.service.node.hub):
                await relay.internal.get("/livez")
        answer = await one.answer()
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert await one.ended()
        one.writer.close()


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """A Redis that takes connections and never answers; its port."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1")
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.transport.abort()


async def test_who_is_alone_goes_on_at_once_and_others_go_together() -> None:
    waves = HandshakeBatcher()
    came: list[str] = []

    async def come(name: str) -> None:
        await waves.turn()
        came.append(name)

    with pytest.raises(StopIteration):  # it has not waited for anything
        come("alone").send(None)
    waiting = [asyncio.create_task(come(name)) for name in "abc"]
    await asyncio.sleep(0)
    assert came == ["alone"]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert came == ["alone", "a", "b", "c"]


async def test_another_path_and_the_operators_port_answer_and_end(relay: Relay) -> None:
    async with client(relay, request(*GOOD, first="GET /nowhere HTTP/1.1")) as one:
        answer = await one.answer()
        assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
        assert b"/incoming-messages" in answer.body
        assert await one.ended()
    port = relay.internal.base_url.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(*GOOD, first="GET /metrics HTTP/1.1"))
    one = Client(reader, writer)
    assert (await one.answer()).status == 403
    assert await one.ended()
    writer.close()


NAMES = st.sampled_from(
    [header.partition(":")[0] for header in GOOD] + ["Sec-WebSocket-Protocol", "Content-Length", "X"]
)
VALUES = st.binary(max_size=40) | st.sampled_from([header.partition(": ")[2].encode() for header in GOOD])


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=6)
    | st.permutations([(h.partition(":")[0], h.partition(": ")[2].encode()) for h in GOOD]),
    st.sampled_from([b"GET", b"POST"]) | st.binary(max_size=5),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_whatever_the_head_says_it_is_answered_in_http(
    relay: Relay, headers: list[tuple[str, bytes]], method: bytes, well_formed: bool
) -> None:
    lines = [b"%b: %b\r\n" % (name.encode(), value) for name, value in headers]
    kept = [line for line in lines if not well_formed or b"\n" not in line[:-2]]
    head = b"%b %b HTTP/1.1\r\nHost: relay.test\r\n%b\r\n" % (method, TARGET.encode(), b"".join(kept))
    async with client(relay, head) as one:
        one.writer.write_eof()  # what is unfinished stays so
        with contextlib.suppress(asyncio.IncompleteReadError):  # an unfinished request has no answer
            answer = await one.answer()
            assert answer.status in (101, 400, 404, 405, 426)
            if answer.status == 101:
                return
        await one.reader.read()
