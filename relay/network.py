"""Other hosts: how they are written, and in plain words why one did not answer."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from collections.abc import Collection
from urllib.parse import SplitResult, quote, urlsplit

_PATH_CHARACTERS = "/%:@!$&'()*+,;=~"  # RFC 3986 section 3.3, and what is encoded already
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")  # in lower case, as it is compared


def split(url: str, schemes: Collection[str]) -> SplitResult:
    """The parts of a URL that can be called; its path is made fit for a request line.

    Raises ValueError, without the URL: a key may stand in it.
    """
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or parts.port == 0:  # .port raises for what is no port
        raise ValueError(f"the URL must begin with {'://, '.join(schemes)}:// and name a host")
    parts.hostname.encode("idna")  # where the resolver would raise UnicodeError, which is no OSError
    return parts._replace(path=quote(parts.path, safe=_PATH_CHARACTERS))


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def networks(names: Collection[str]) -> tuple[Network, ...]:
    """Addresses and networks (10.0.0.0/8). Raises ValueError: one of them is none."""
    return tuple(ipaddress.ip_network(name, strict=False) for name in names)


def is_in(host: str, among: Collection[Network]) -> bool:
    """Whether a host's address is in one of the networks; False for what is no address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # of an IPv4 client at a socket for both
    return any((mapped or address) in network for network in among)


def reason_of(error: BaseException) -> str:
    """Why a connection failed, from the operating system's error behind it where there is one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return f"{cause.strerror or 'the name is not known'} (DNS)"
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return f"{os.strerror(cause.errno)}: allow more (ulimit -Hn, LimitNOFILE of systemd)"
        if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
            return os.strerror(cause.errno)
        if isinstance(cause, TimeoutError):
            return "no answer in time"
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine; such a request is no business of a proxy."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_plain_https(url: str) -> bool:
    """Whether the URL is https with the name of a host, and without port, user, or what programs read differently."""
    if not url.isascii() or not url.isprintable() or any(character in url for character in ' \\"<>#'):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and _HOST.fullmatch(parts.netloc) is not None
