"""The floor: a bare loop of ``send()`` over connected non-blocking sockets, in one Python process.

``python -m bench.yardsticks.bare PORT``. No framing, no limits, no way in but a pipe: each line there is one
message, a size and a number. The frame is made once. What this costs a delivery is the system call and two
Python instructions.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys

from bench.child import Lab, free_port
from bench.mail import frame
from bench.wire import upgrade

LISTEN = upgrade("/")
_ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class Bare:
    """A process with the bare loop."""

    name = "bare send()"
    redis_pid = 0

    def __init__(self, lab: Lab) -> None:
        self.port = free_port()
        self.child = lab.python("bench.yardsticks.bare", str(self.port))
        self.child.answer()

    @property
    def pid(self) -> int:
        return self.child.pid

    def publish(self, frame_bytes: int, number: int) -> None:
        """One message to all sockets."""
        self.child.tell("send", frame_bytes=frame_bytes, number=number)


def server_frame(payload: bytes) -> bytes:
    """A text frame as a server sends it, RFC 6455 section 5.2."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload


def main(port: int) -> None:
    """Accepts while nobody sends; ends when standard input does."""
    server = socket.create_server(("127.0.0.1", port), backlog=4096)
    server.setblocking(False)
    os.write(1, b"{}\n")
    sockets: list[socket.socket] = []
    while True:
        readable, _, _ = select.select([0, server.fileno()], [], [])
        if server.fileno() in readable:
            sockets.append(_accepted(server))
        if 0 in readable:
            line = sys.stdin.buffer.readline()
            if not line:
                return
            _send(sockets, json.loads(line))


def _accepted(server: socket.socket) -> socket.socket:
    sock, _ = server.accept()
    sock.recv(4096)
    sock.sendall(_ANSWER)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _send(sockets: list[socket.socket], command: dict[str, int]) -> None:
    ready = server_frame(frame(command["frame_bytes"], command["number"]))
    size = len(ready)
    behind: list[tuple[socket.socket, bytes]] = []
    for sock in sockets:
        sent = sock.send(ready)
        if sent < size:
            behind.append((sock, ready[sent:]))
    for sock, rest in behind:
        sock.setblocking(True)
        sock.sendall(rest)
        sock.setblocking(False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
