"""What the listeners of the benchmark count: a message that did not come whole, or twice, must not pass."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from bench.mail import frame
from bench.wire import BatchStream, Stream, Tally, client_frame
from bench.yardsticks.bare import server_frame


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def batch(*numbers: int, size_bytes: int = 300) -> bytes:
    """A frame as Centrifugo sends it: several messages, each in an envelope."""
    pushes = [b'{"push":{"channel":"all","pub":{"data":%b}}}' % frame(size_bytes, number) for number in numbers]
    return server_frame(b"\n".join(pushes))


def fed(stream: Stream, data: bytes, step: int) -> Tally:
    """As it comes by reads of so many bytes."""
    tally = Tally()
    for start in range(0, len(data), step):
        piece = stream.partial + data[start : start + step]
        stream.partial = b""
        stream.take(bytearray(piece), len(piece), tally)
    return tally


@pytest.mark.parametrize("step", [1, 7, 100, 1 << 20])
def test_messages_of_a_batch_are_counted_however_they_come(sock: socket.socket, step: int) -> None:
    stream = BatchStream(0, sock, '"id":2')
    answer = server_frame(b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{}}')
    tally = fed(stream, answer + batch(1) + batch(2, 3, 4) + batch(5, size_bytes=70_000), step)
    assert not stream.awaited
    assert (stream.frames, tally.frames, stream.last, stream.wrong) == (5, 5, 5, 0)


def test_a_message_counts_when_its_frame_is_whole(sock: socket.socket) -> None:
    whole = batch(1, 2)
    assert fed(BatchStream(0, sock, ""), whole[:-1], 64).frames == 0
    assert fed(BatchStream(0, sock, ""), whole, 64).frames == 2


def test_a_message_that_is_missing_or_comes_again_is_seen(sock: socket.socket) -> None:
    for numbers in ((1, 3), (1, 1), (2, 1)):
        stream = BatchStream(0, sock, "")
        fed(stream, b"".join(map(batch, numbers)), 50)
        assert stream.wrong == 1


@pytest.mark.parametrize("size", [5, 125, 126, 4_000])
def test_a_client_frame_is_masked(size: int) -> None:
    made = client_frame("x" * size)
    assert made[0] == 0x81
    assert made[1] & 0x80
    assert made.endswith(b"\0\0\0\0" + b"x" * size)
    length = made[1] & 0x7F if size < 126 else int.from_bytes(made[2:4])
    assert length == size
