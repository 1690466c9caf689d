"""Servers that say things twice, too early or not at all: what the client makes of them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.utils import accept_key

from relay.client import Backoff, Gap, Listener, Lost, NotWanted, listen
from tests.client.conftest import subjects

pytestmark = pytest.mark.anyio

LISTENING = '{"status":200,"msg":"Listening","addresses":["a@x.test"],"domains":[]}'
HISTORY = "0123456789abcdef"
OTHER_HISTORY = "0123456789000000"


def mail(seq: int, history: str = HISTORY) -> str:
    name = f"{history}-{1_800_000_000_000 + seq}-{seq}"
    return json.dumps({"status": 200, "email": {"_id": name, "inbox": "a@x.test", "subject": str(seq)}})


def gap(**members: Any) -> str:
    return json.dumps({"status": 206, "msg": "Gap", "inbox": "a@x.test", "after": None, "next": None, **members})


def answer(status: HTTPStatus, body: bytes = b"", header: tuple[str, str] = ("Server", "strange")) -> Response:
    headers = Headers({"Content-Length": str(len(body))})
    headers.update([header])
    return Response(status, status.phrase, headers, body)


class Server:
    """Sends prepared frames: a list for each connection, after which it closes with 1011; the last one stays."""

    def __init__(self, *connections: list[str], denials: list[Response | None] | None = None) -> None:
        self.waits: list[float] = []
        self.requests: list[str] = []
        self._connections = list(connections)
        self._denials = denials or []

    def deny(self, _connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request.path)
        return self._denials.pop(0) if self._denials else None

    async def handle(self, connection: ServerConnection) -> None:
        for frame in self._connections.pop(0):
            await connection.send(frame)
        if self._connections:
            await connection.close(1011)
        await connection.wait_closed()

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    @asynccontextmanager
    async def listened(self, **options: Any) -> AsyncIterator[Listener]:
        async with serve(self.handle, "127.0.0.1", 0, process_request=self.deny) as running:
            port = running.sockets[0].getsockname()[1]
            backoff = Backoff(random=lambda: 0.0, sleep=self.sleep)
            url = f"ws://127.0.0.1:{port}"
            listener = listen(url, key="k", addresses="a@x.test", backoff=backoff, **options)
            try:
                yield listener
            finally:
                await listener.aclose()


async def test_what_comes_again_is_dropped_and_what_only_looks_like_it_is_not() -> None:
    back = [mail(1, OTHER_HISTORY), mail(2), mail(3), mail(2, OTHER_HISTORY)]
    server = Server([LISTENING, mail(1), mail(2), mail(2)], [LISTENING, mail(1), *back, LISTENING])
    async with server.listened() as messages:
        assert await subjects(messages, 5) == ["1", "2", "1", "3", "2"]


async def test_a_server_that_says_no_more_than_messages() -> None:
    bare = [json.dumps(json.loads(mail(seq))["email"]) for seq in range(1, 4)]
    server = Server(bare[:1], bare)
    async with server.listened() as listener, listener as messages:
        assert await subjects(messages, 3) == ["1", "2", "3"]


async def test_frames_that_nobody_knows_are_passed_over() -> None:
    frames = [
        "no JSON",
        "[]",
        "1",
        '{"status": 299}',
        gap(),
        '{"email": {}}',
        '{"_id": 5, "subject": "0"}',
        mail(1),
    ]
    async with Server([LISTENING, *frames]).listened(on_gap=pytest.fail) as messages:
        assert await subjects(messages, 2) == ["0", "1"]


async def test_a_gap_of_an_unknown_inbox_ends_its_cursor() -> None:
    gaps: list[Gap] = []
    name = f"{HISTORY}-{1_800_000_000_001}-1"
    lost = gap(inbox=None, after=name, reason="expired")
    server = Server(
        [LISTENING, mail(1)], [LISTENING, lost], [LISTENING, lost], [LISTENING, mail(2, OTHER_HISTORY)]
    )
    async with server.listened(on_gap=gaps.append) as messages:
        assert await subjects(messages, 2) == ["1", "2"]
    assert [gap.after for gap in gaps] == [name]
    assert [name in path for path in server.requests] == [False, True, False, False]
    assert "not known any more" in str(gaps[0])


async def test_a_real_gap_that_looks_like_the_end_of_a_replay_is_told_when_it_is_back() -> None:
    gaps: list[Gap] = []
    trimmed = gap(after=f"{HISTORY}-{1_800_000_000_001}-1", reason="trimmed")
    # The live message behind it must not move the cursor.
    server = Server([LISTENING, mail(1), trimmed, mail(9)], [LISTENING, trimmed, mail(5)])
    async with server.listened(on_gap=gaps.append) as messages:
        assert await subjects(messages, 2) == ["1", "5"]
    assert (len(gaps), server.waits) == (1, [])


async def test_a_server_that_wants_time_gets_it_and_patience_ends_with_a_message() -> None:
    denials: list[Response | None] = [
        answer(HTTPStatus.TOO_MANY_REQUESTS, header=("Retry-After", "60")),
        answer(HTTPStatus.SERVICE_UNAVAILABLE, header=("Retry-After", "never")),
        answer(HTTPStatus.BAD_GATEWAY),
    ]
    server = Server([LISTENING], [LISTENING, mail(1)], [LISTENING, mail(2)], denials=denials)
    async with server.listened() as messages:
        assert await subjects(messages, 2) == ["1", "2"]
    # A connection that only listened for a moment is no proof; one that brought a message is.
    assert server.waits == [60.0, 0.5, 0.5, 0.5, 0.0]


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND])
async def test_a_denial_before_the_upgrade_is_final(status: HTTPStatus) -> None:
    denial = answer(status, b'{"error": "because"}')
    async with Server(denials=[denial]).listened() as messages:
        with pytest.raises(NotWanted, match=f"answers {status.value}: because") as refused:
            await anext(messages)
    assert refused.value.code == status


@pytest.mark.parametrize("code", [1009, 4400, 4401, 4403])
async def test_a_close_that_is_final(code: int) -> None:
    async with raw(lambda connection: connection.close(code, "because")) as url:
        with pytest.raises(NotWanted, match=rf"because \(close code {code}\)") as refused:
            await anext(listen(url, key="k", addresses="a@x.test"))
    assert refused.value.code == code


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4408, 4429, 4999])
async def test_a_close_that_is_not(code: int) -> None:
    async with raw(lambda connection: connection.close(code, "because")) as url:
        with pytest.raises(Lost, match=rf"because \(close code {code}\)") as lost:
            await anext(listen(url, key="k", addresses="a@x.test", reconnect=False))
    assert lost.value.restarts is (code in {1001, 1012})


@asynccontextmanager
async def raw(handle: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(handle, "127.0.0.1", 0) as running:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}"


async def test_a_connection_that_is_closed_at_once_is_a_passing_thing() -> None:
    """As while a service ends. In a program that is busy the end is there before the request is sent."""
    waits: list[float] = []

    async def enough(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 100:
            raise EnoughError

    with closing_at_once() as url:
        busy = asyncio.create_task(work())
        try:
            with pytest.raises(EnoughError):
                await anext(listen(url, key="k", addresses="a@x.test", backoff=Backoff(sleep=enough)))
        finally:
            busy.cancel()


@contextmanager
def closing_at_once() -> Iterator[str]:
    """The URL of a server that closes what it accepts. A process of its own: a thread would wait for our busy one."""
    program = (
        "import socket\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "print(server.getsockname()[1], flush=True)\n"
        "while True: server.accept()[0].close()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"ws://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


async def work() -> None:
    """Without end, holding up the loop for a moment again and again."""
    while True:
        sum(range(20_000))
        await asyncio.sleep(0)


class EnoughError(Exception):
    """It has tried often enough."""


async def test_who_brings_a_message_slowly_is_not_dead() -> None:
    """Its pong stands behind the message, which takes ten times as long as a silent peer may take."""
    waits: list[float] = []

    async def bring(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        [key] = [line.split(": ")[1] for line in head.splitlines() if line.lower().startswith("sec-websocket-key")]
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n".encode() + _text_frame(LISTENING))
        for byte in _text_frame(mail(1)):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
        await reader.read()  # until the client has what it wants, and goes
        writer.close()

    async def note(seconds: float) -> None:
        waits.append(seconds)

    async with await asyncio.start_server(bring, "127.0.0.1", 0) as running:
        url = f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}"
        backoff = Backoff(random=lambda: 0.0, sleep=note)
        async with listen(url, key="k", addresses="a@x.test", backoff=backoff, ping_seconds=0.1) as messages:
            assert (await anext(messages))["subject"] == "1"
    assert waits == []


def _text_frame(text: str) -> bytes:
    payload = text.encode()
    length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2)
    return b"\x81" + length + payload
