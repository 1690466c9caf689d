"""The hop on which a mail reached its provider, as the provider's own ``Received`` field tells it.

Only fields that the provider wrote count: they stand at the top, and all below them may be forged by the provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple

_MAX_FIELD = 2000  # Postfix writes under 500; what is longer is cut before any regular expression sees it
# RFC 5321 section 4.4. The name after "from" is the client's HELO; in parentheses is what the server saw itself.
_FROM = re.compile(r"from\s+(?:([^\s(]\S*)\s*)?(?:\(([^()]*)\)|(\[\S+\]))?")
_BY = re.compile(r"\s*by\s+([^\s;]+)")
_COMMENT = re.compile(r"\([^()]*\)")
_NESTED = 3  # Postfix puts the length of the key in a comment inside the comment about TLS
_ADDRESS = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]")
# RFC 3848: the S says TLS. Servers that do not say it there write the version of TLS into a comment.
_TLS = re.compile(r"\bwith\s+(?:UTF8)?(?:E?SMTP|LMTP)SA?\b|\bTLSv?1", re.IGNORECASE)


class Hop(NamedTuple):
    """What a Received field says; "" and False where it says nothing."""

    ip: str = ""  # of the SMTP client
    via: str = ""  # name of the receiving server, lower case
    rtls: bool = False


def hop(headers: Iterable[tuple[str, str]], domain: str) -> Hop:
    """The first hop from outside, of the top-most Received fields written by servers of ``domain``.

    ``headers``: names in lower case, top-most first. ``domain`` "": whoever wrote the top-most one.
    """
    for value in (value[:_MAX_FIELD].strip() for name, value in headers if name == "received"):
        origin = _FROM.match(value)
        server = _server(value[origin.end() :] if origin else value)
        if domain and server != domain and not server.endswith(f".{domain}"):
            return Hop()
        if origin:  # a line without "from" is a step inside the provider's house
            return Hop(_client(origin), server, _TLS.search(value, origin.end()) is not None)
    return Hop()


def _server(rest: str) -> str:
    for _ in range(_NESTED):
        rest = _COMMENT.sub(" ", rest)
    found = _BY.match(rest)
    return found[1].lower() if found else ""


def _client(origin: re.Match[str]) -> str:
    """The address that the server saw: the last, because a reverse name may look like one too."""
    found = _ADDRESS.findall(origin[2] or origin[3] or origin[1] or "")
    with suppress(ValueError):
        return str(ip_address(found[-1])) if found else ""
    return ""
