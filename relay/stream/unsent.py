"""What a peer has not acknowledged yet: in our buffer, and in the kernel's, which holds some MB more."""

from __future__ import annotations

import array
import asyncio
import fcntl
import termios


def unsent_bytes(transport: asyncio.WriteTransport) -> int:
    """Of a TCP connection. Where the system does not tell what its own buffer holds, that counts as nothing."""
    buffered = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    queued = array.array("i", [0])
    try:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, queued)
    except (OSError, AttributeError):
        return buffered
    return buffered + queued[0]
