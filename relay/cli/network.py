"""Where a service of this machine listens, as a URL."""

from __future__ import annotations

import socket


def authority(host: str, port: int) -> str:
    """``host:port`` as it stands in a URL; an address that means "all of this machine" becomes its loopback."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"[{reachable}]:{port}" if ":" in reachable else f"{reachable}:{port}"


def url_of(listening: socket.socket) -> str:
    """The http URL of a listening socket, with the port that it really has."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
