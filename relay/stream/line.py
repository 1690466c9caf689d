"""How far the bytes are that were written to a connection: what shows that a slow peer is alive.

A ping stands behind what was written before it. So a peer that takes a minute for a large mail answers late, and is
alive all the same: it takes bytes. What has not been acknowledged is the transport's buffer and that of the kernel.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

if sys.platform == "linux":
    import fcntl
    import termios


def unacknowledged_bytes(transport: asyncio.WriteTransport) -> int:
    """Bytes that wait in the transport, and on Linux also those that the peer's kernel has not acknowledged."""
    waiting = transport.get_write_buffer_size()
    if sys.platform != "linux":
        return waiting
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return waiting
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")  # SIOCOUTQ of tcp(7) is the same number
    except OSError:
        return waiting  # it is no TCP socket any more
    (kernel,) = struct.unpack("i", answer)
    return waiting + int(kernel)


def take_from_kernel(transport: asyncio.BaseTransport) -> None:
    """Leaves it to the heartbeat to say that the peer is gone.

    The kernel has a limit too (serve.py sets it), which counts from the last moment in which the peer had room for the
    whole next segment. On loopback that has 64 KiB, for which a slow proxy never has room: it is cut off as it reads.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)
